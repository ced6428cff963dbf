"""What all tests share: composed configurations, and parts built from them."""

import os
import subprocess
import sys

os.environ.setdefault("WANDB_MODE", "disabled")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

import gan_runner.train
from gan_runner.build import build_system
from gan_runner.cli import run as cli
from gan_runner.config.paths import CONF
from gan_runner.config.resolve import register, resolve

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
    "gaussian": ["model.discriminator.width=8"],
    "line": ["model.discriminator.width=8"],
}
"""Overrides that make each model small."""


def same_conditions():
    """One thread, and the same random numbers."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _same_conditions():
    same_conditions()


@pytest.fixture(scope="session", autouse=True)
def _nothing_kept_from_before(tmp_path_factory):
    """What is kept from run to run lies in a folder of these tests: a classifier is trained once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAN_RUNNER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def compose_config(*overrides):
    """The configuration of `conf/` with overrides."""
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(overrides))


def system_of(*overrides):
    """What is trained, from overrides."""
    return build_system(resolve(compose_config(*overrides)))


@pytest.fixture(scope="session")
def hydra_config():
    """Compose `conf/` with overrides."""
    return compose_config


@pytest.fixture(scope="session")
def make_system():
    """Build what is trained from overrides."""
    return system_of


@pytest.fixture(scope="session")
def data_root():
    """The folder with MNIST, where the machine has one."""
    root = os.environ.get("GAN_RUNNER_DATA")
    if not root or not (Path(root) / "MNIST").is_dir():
        pytest.skip("set GAN_RUNNER_DATA to a folder that holds MNIST in torchvision's layout")
    return Path(root)


@pytest.fixture
def gan_run(monkeypatch, tmp_path, capfd):
    """Type a line in an empty folder: exit code, what it printed, what it complained of."""
    monkeypatch.chdir(tmp_path)

    def typed(*arguments):
        monkeypatch.setattr(sys, "argv", ["gan-run", *arguments])
        code = 0
        try:
            cli.main()
        except SystemExit as exit_:
            code = exit_.code
        out, err = capfd.readouterr()
        return code, out, err

    return typed


def names_in(group):
    """The options of a configuration group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@pytest.fixture
def signal_in_step(monkeypatch):
    """Send this process a signal while it takes its n-th step from now."""
    build_system = gan_runner.train.build_system

    def arrange(signum, n):
        left = [n]

        def building(config):
            system = build_system(config)
            play = system.play

            def stepping(*arguments):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signum)
                return play(*arguments)

            system.play = stepping
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
