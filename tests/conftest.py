"""Fixtures of all tests: composed configurations, built systems, runs."""

import functools
import gc
import hashlib
import os
import pickle
import shutil
import subprocess
import sys

os.environ.setdefault("WANDB_MODE", "disabled")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run in parallel

from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import OmegaConf

import gan_runner.train
from gan_runner.build import build_system
from gan_runner.cli.entry import main as gan_run_main
from gan_runner.config import compose
from gan_runner.config.paths import CONF
from gan_runner.config.resolve import register, resolve
from gan_runner.tools import activity
from gan_runner.tools.files import write_atomically

TINY = {
    "mlp": ["model.generator.width=8", "model.discriminator.width=8", "model.latent.dim=4"],
    "maxout": ["model.generator.width=8", "model.discriminator.width=8", "model.latent.dim=4"],
    "infogan": [
        *("model.generator.width=2", "model.discriminator.width=2", "model.latent.dim=4"),
        *("model.generator.hidden=8", "model.discriminator.hidden=8"),
    ],
    "point": [],
    "two_branch": [
        *("model.generator.width=8", "model.generator.latent_width=4", "model.generator.condition_width=4"),
        *("model.discriminator.width=8", "model.latent.dim=4"),
    ],
    "dcgan": ["model.generator.width=4", "model.discriminator.width=4", "model.latent.dim=4"],
    "resnet": ["model.generator.width=4", "model.discriminator.width=4", "model.latent.dim=4"],
    "salimans_mnist": ["model.generator.width=8", "model.discriminator.widths=[8,8]", "model.latent.dim=4"],
    "real_nvp": [
        *("model.generator.couplings=1", "model.generator.width=4", "model.generator.depth=1"),
        "model.discriminator.width=8",
    ],
    "real_nvp_dcgan": [
        *("model.generator.couplings=1", "model.generator.width=2", "model.generator.depth=1"),
        *("model.generator.scales=2", "model.discriminator.width=4"),
    ],
    "small_mlp": ["model.generator.width=8", "model.discriminator.width=8", "model.latent.dim=4"],
    "gaussian": ["model.discriminator.width=8"],
    "line": ["model.discriminator.width=8"],
}
"""Overrides that make each model small."""


def same_conditions():
    """Use one thread, and seed the random numbers."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


gc.disable()  # collecting the tests imports everything and frees nothing


def pytest_collection_finish():
    """Hide what tests and packages hold for good from the garbage collector, which saves a fifth of the time."""
    gc.freeze()
    gc.enable()


def thinned(parameters, every):
    """The parameters of a test; the default set has the first and every so many after it, the slow set has all."""
    marks = ([pytest.mark.slow] if number % every else [] for number in range(len(parameters)))
    return [pytest.param(*(p if isinstance(p, tuple) else (p,)), marks=mark) for p, mark in zip(parameters, marks)]


@pytest.fixture(autouse=True)
def _same_conditions():
    same_conditions()


@pytest.fixture(scope="session")
def common_folder(tmp_path_factory):
    """A folder shared by all test processes, empty at the start."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "common"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _nothing_kept_from_before(common_folder):
    """Put the cache into a folder of these tests, so that a classifier is trained once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAN_RUNNER_CACHE", str(common_folder / "cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_said_because_a_machine_is_slow():
    """Let no line about what takes long come between the lines that tests expect."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(activity, "FIRST_AFTER_S", 3600.0)
        yield


@pytest.fixture
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@functools.cache
def composed(*overrides):
    """The configuration of `conf/` with overrides, pickled since that copies twice as fast as `deepcopy`."""
    register()
    return pickle.dumps(compose.compose_config(overrides))


def compose_config(*overrides):
    """The configuration of `conf/` with overrides, composed only once."""
    return pickle.loads(composed(*overrides))


def system_of(*overrides):
    """Build the system of a configuration."""
    return build_system(resolve(compose_config(*overrides)))


@pytest.fixture(scope="session", autouse=True)
def _files_of_conf_are_parsed_once():
    """Parse each file of `conf/` once, which takes a third of the time of composing otherwise."""
    load = OmegaConf.load
    parsed = functools.cache(lambda path: pickle.dumps(load(path)))

    def load_or_copy(file):
        path = Path(getattr(file, "name", file))
        return pickle.loads(parsed(path)) if path.is_relative_to(CONF) else load(file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OmegaConf, "load", staticmethod(load_or_copy))
        yield


@pytest.fixture(scope="session", autouse=True)
def _options_of_groups_are_merged_once():
    """Merge the files of `conf/` once for each choice of options; Hydra applies typed values afterwards."""
    make_list, merge = config_loader_impl.create_defaults_list, ConfigLoaderImpl._compose_config_from_defaults_list
    lists, merged = {}, {}

    def only_ours(repo):
        files = (source.path for source in repo.get_sources() if source.scheme() not in ("pkg", "structured"))
        return all(path == str(CONF) for path in files)

    def listed(repo, config_name, overrides_list, prepend_hydra, skip_missing):
        typed = [override for override in overrides_list if not override.is_sweep_override()]
        chosen = [o for o in typed if repo.group_exists(o.key_or_group) and not isinstance(o.value(), dict)]
        key = (config_name, prepend_hydra, skip_missing, *(override.input_line for override in chosen))
        if not only_ours(repo):
            return make_list(repo, config_name, overrides_list, prepend_hydra, skip_missing)
        if key not in lists:
            lists[key] = pickle.dumps(make_list(repo, config_name, chosen, prepend_hydra, skip_missing))
        made = pickle.loads(lists[key])
        made.config_overrides.extend(override for override in typed if override not in chosen)
        return made

    def merge_once(self, defaults, repo):
        if not only_ours(repo):
            return merge(self, defaults, repo)
        key = repr(defaults)
        if key not in merged:
            merged[key] = pickle.dumps(merge(self, defaults, repo))
        return pickle.loads(merged[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config_loader_impl, "create_defaults_list", listed)
        patch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", merge_once)
        yield


@pytest.fixture(scope="session")
def hydra_config():
    """Compose `conf/` with overrides."""
    return compose_config


@pytest.fixture(scope="session")
def resolved_config(common_folder):
    """Compose, resolve and check a configuration, once for all processes."""

    def resolved(*overrides):
        path = common_folder / f"{digest(overrides)}.pickle"
        if not path.exists():
            write_atomically(path, lambda file: pickle.dump(resolve(compose_config(*overrides)), file))
        return pickle.loads(path.read_bytes())

    return resolved


@pytest.fixture(scope="session")
def make_system(resolved_config):
    """Build a system from overrides. Keywords change `seed` and options of the trainer without composing again."""

    def make(*overrides, **changed):
        config = resolved_config(*overrides)
        for key, value in changed.items():
            (config if key in config else config.trainer)[key] = value
        return build_system(config)

    return make


@pytest.fixture(scope="session")
def data_root():
    """The folder that holds MNIST; the test is skipped if there is none."""
    root = os.environ.get("GAN_RUNNER_DATA")
    if not root or not (Path(root) / "MNIST").is_dir():
        pytest.skip("set GAN_RUNNER_DATA to a folder that holds MNIST in torchvision's layout")
    return Path(root)


@pytest.fixture
def gan_run(monkeypatch, tmp_path, capfd):
    """Run `gan-run` in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def typed(*arguments):
        monkeypatch.setattr(sys, "argv", ["gan-run", *arguments])
        code = 0
        try:
            gan_run_main()
        except SystemExit as exit_:
            code = exit_.code
        out, err = capfd.readouterr()
        return code, out, err

    return typed


@pytest.fixture
def finished_run(gan_run, common_folder, tmp_path):
    """Start from the directory of a completed run, or of a sweep with `-m`. It is trained once and then copied."""

    def leave(*options, name="run"):
        kept = common_folder / digest(options)
        if not kept.exists():
            kind = "sweep" if "-m" in options else "run"
            code, _, err = gan_run(*options, f"hydra.{kind}.dir={name}")
            assert code == 0, err
            shutil.copytree(tmp_path / name, partial := kept.with_suffix(f".{os.getpid()}"))
            with suppress(OSError):  # another process was first
                partial.rename(kept)
        if not (tmp_path / name).exists():
            shutil.copytree(kept, tmp_path / name)

    return leave


def digest(words):
    """A file name for a list of words."""
    return hashlib.sha256(repr(words).encode()).hexdigest()[:16]


def names_in(group):
    """The options of a configuration group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@pytest.fixture
def signal_in_step(monkeypatch):
    """Send this process a signal during its n-th step from now."""
    build_system = gan_runner.train.build_system

    def arrange(signum, n):
        left = [n]

        def building(config):
            system = build_system(config)
            update_scheme = system.update_scheme

            def stepping(*arguments):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signum)
                return update_scheme(*arguments)

            system.update_scheme = stepping
            return system

        monkeypatch.setattr(gan_runner.train, "build_system", building)

    return arrange


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mount.returncode:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
