"""Several processes compute what one would: every method's step, and whole runs under torchrun.

Two processes take half of each batch; what they come to is compared with one process that takes the whole.
"""

import functools
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing
from methods import METHODS, options_of, some_steps
from PIL import Image
from tiny_runs import DEFAULT_OBSERVERS, PICTURE, TINY_RUN

from gan_runner.build import build_system
from gan_runner.datasets.base import Batches
from gan_runner.datasets.digits import Digits
from gan_runner.datasets.toy import Ring
from gan_runner.distributed import processes, sharding

PROCESSES = 2

# Steps


def shared(build, index, *options):
    """System that play with this process's rows of each batch."""
    system = build(*options)
    play = system.update_scheme

    def playing(players, batches):
        with sharding.sharded(PROCESSES, index):
            return play(players, ({name: sharding.local_shard(x) for name, x in batch.items()} for batch in batches))

    system.update_scheme = playing
    return system


def no_all_gather(patch):
    """Each process sees its own samples alone."""
    for place in ("games.gan", "terms.moments", "terms.feature_matching", "models.layers.minibatch_discrimination"):
        patch.setattr(importlib.import_module(f"gan_runner.{place}"), "all_gather", lambda x: x)


def no_all_reduce_mean(patch):
    """Each process descends its own gradients."""
    patch.setattr("gan_runner.players.all_reduce_mean", lambda gradients: gradients)


def no_all_reduce_sum(patch):
    """Each process normalises by its own statistics."""
    patch.setattr("gan_runner.models.layers.batch_norm.all_reduce_sum", lambda x: PROCESSES * x)


def no_local_shard(patch):
    """Every process draws the same noise for its rows."""
    patch.setattr("gan_runner.tools.per_sample.global_batch", lambda n: n)
    patch.setattr("gan_runner.tools.per_sample.local_shard", lambda x, dim=0: x)


def one_way_all_gather(patch):
    """What others make of this process's rows does not come back in its gradients."""
    summed = sharding.summed
    patch.setattr(sharding, "summed", lambda x: summed(x.detach()) + x - x.detach())


PLANTED = [
    (no_all_gather, ("mlp", "lsgan", "minibatch_discrimination", "points")),
    (no_all_gather, ("mlp", "lsgan", "feature_matching", "points")),
    (no_all_gather, ("mlp", "relativistic_average", None, "points")),
    (no_all_gather, ("mlp", "mmd", None, "points")),
    (one_way_all_gather, ("mlp", "lsgan", "minibatch_discrimination", "points")),
    (no_all_reduce_mean, ("mlp", "lsgan", None, "points")),
    (no_all_reduce_sum, ("dcgan", "non_saturating", None, "image")),
    (no_local_shard, ("mlp", "lsgan", None, "points")),
]
COMPILED = [
    ("mlp", "non_saturating", None, "points"),
    ("mlp", "wgan_gp", None, "points"),
    ("mlp", "lsgan", "minibatch_discrimination", "points"),
    ("dcgan", "non_saturating", None, "image"),
]
COUPLED = ("began", "kliep", "mmd", "relativistic_average", "lsgan")
PLAIN = [m for m in METHODS if m[0] == "mlp" and m[2] is None and m[3] == "points" and m[1] not in COUPLED]
"""Losses that are means over samples: one of them is enough, but for a longer check."""


def work(index, folder, configs, jobs):
    """One process: every job (method, how it is compiled, fault) in turn, and what it came to."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=index, world_size=PROCESSES
    )
    torch.set_default_dtype(torch.float64)
    ends = []
    for method, compiled, fault in jobs:
        torch.manual_seed(0)
        with pytest.MonkeyPatch.context() as patch:
            (fault or id)(patch)
            make_system = functools.partial(shared, lambda *options: build_system(configs[options]), index)
            ends.append(some_steps(make_system, method, compiled, steps=3)[0])
    torch.save(ends, folder / f"{index}.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def two_processes(resolved_config, tmp_path_factory):
    """What each of two processes comes to in some jobs."""

    def both(jobs):
        typed = {tuple(options_of(method)) for method, *_ in jobs}
        wanted = {options: resolved_config(*options) for options in typed}
        folder = tmp_path_factory.mktemp("two")
        torch.multiprocessing.spawn(work, (folder, wanted, jobs), nprocs=PROCESSES)
        return [torch.load(folder / f"{index}.pt", weights_only=False) for index in range(PROCESSES)]

    return functools.cache(both)


@pytest.fixture
def one_process(make_system):
    """What a single process comes to with a method."""

    def alone(method):
        torch.set_default_dtype(torch.float64)
        try:
            return some_steps(make_system, method, steps=3)[0]
        finally:
            torch.set_default_dtype(torch.float32)

    return alone


def differences(end, other):
    """By name, the largest difference of parameters, buffers and memories, in units of their size where it is > 1."""
    tensors = {name: value for name, value in other.items() if isinstance(value, torch.Tensor)}
    assert end.keys() == other.keys()
    assert all(end[name] == value for name, value in other.items() if name not in tensors)
    return {name: ((end[name] - x).abs() / x.abs().clamp(min=1)).max().item() for name, x in tensors.items()}


TOLERANCE = 1e-12  # of float64 with 53 bits, 1e-16


JOBS = tuple((method, None, None) for method in METHODS if method not in PLAIN)
OFTEN, SELDOM = JOBS[::6], tuple(job for job in JOBS if job not in JOBS[::6])  # the others are slow
PLAIN_JOBS = tuple((method, None, None) for method in PLAIN)
PLANTED_JOBS = tuple((method, None, fault) for fault, method in PLANTED)
COMPILED_JOBS = tuple((method, compiled, None) for method in COMPILED for compiled in ("moves", "iteration"))
QUICK_JOBS = OFTEN + PLANTED_JOBS


def name_of(job):
    """In words."""
    method, _, fault = job
    return "-".join(filter(None, [*method, fault and fault.__name__]))


@pytest.mark.parametrize("job", OFTEN, ids=name_of)
def test_two_processes_step_like_one(two_processes, one_process, job):
    alone = one_process(job[0])
    for ends in two_processes(QUICK_JOBS):
        assert max(differences(ends[QUICK_JOBS.index(job)], alone).values()) <= TOLERANCE


@pytest.mark.parametrize("job", PLANTED_JOBS, ids=name_of)
def test_planted_faults_are_detected(two_processes, one_process, job):
    end = two_processes(QUICK_JOBS)[0][QUICK_JOBS.index(job)]
    assert max(differences(end, one_process(job[0])).values()) > 1e3 * TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [SELDOM, PLAIN_JOBS, COMPILED_JOBS], ids=["seldom", "plain", "compiled"])
def test_two_processes_step_like_one_with_all_other_methods(two_processes, one_process, jobs):
    for ends in two_processes(jobs):
        worst = {name_of(job): max(differences(end, one_process(job[0])).values()) for job, end in zip(jobs, ends)}
        assert max(worst.values()) <= TOLERANCE, worst


# Data


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("size", [6, 60])
def test_rows_of_all_processes_make_the_batch(resident, size):
    data = Digits(flip=True, resident=resident, workers=0).load(torch.device("cpu"))
    whole = Batches(data, size, seed=3, drawn=5)
    batches = [Batches(data, size, 3, 5, sharding.rows(size, 3, index)) for index in range(3)]
    for _ in range(3):
        batch = next(whole)
        shares = [next(rows) for rows in batches]
        assert {len(share["data"]) for share in shares} == {size // 3}
        assert all(torch.equal(torch.cat([share[key] for share in shares]), batch[key]) for key in batch)


def test_rows_of_fresh_draws_make_the_batch():
    data = Ring().load(torch.device("cpu"))
    (left, right, whole) = (next(Batches(data, 10, 0, 0, rows)) for rows in (slice(0, 5), slice(5, 10), slice(None)))
    assert torch.equal(torch.cat([left["data"], right["data"]]), whole["data"])


# Whole runs

SECONDS_TO_END = 25
"""So long, at most, the others go on when a process is killed, torchrun's own 30 s notwithstanding."""


def torchrun(*line, cwd, module="gan_runner", processes=PROCESSES, options=()):
    """The command, started; each process keeps its own output."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        str(processes),
        *options,
        "-m",
        module,
        *line,
    ]
    return subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process, seconds=120):
    """Exit code, and output without the lines of torchrun itself."""
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, [line for line in err.splitlines() if line.startswith("gan-run: ")], err


def figures(run):
    """What was logged, without the clock."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    clock = ("steps_per_second", "elapsed_s")
    return [{key: value for key, value in line.items() if key not in clock} for line in lines]


def assert_same_figures(run, other):
    """To the error of float32."""
    assert [line.keys() for line in figures(run)] == [line.keys() for line in figures(other)]
    for ours, theirs in zip(figures(run), figures(other)):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-5)


def summary(run):
    """What it came to."""
    return json.loads((run / "summary.json").read_text())


def test_a_run_of_two_processes_equals_that_of_one_and_resumes_as_one(gan_run, tmp_path):
    line = [*TINY_RUN, PICTURE, "trainer.checkpoint_every=4"]
    assert gan_run(*line, "trainer.steps=8", "hydra.run.dir=one", "scheduler=constant")[0] == 0
    code, out, _, err = ended(torchrun(*line, "scheduler=constant", cwd=tmp_path))
    assert code == 0, err
    assert out.count("completed at step 4 of 4") == 1
    (run,) = tmp_path.glob("outputs/2*/*")
    assert summary(run)["status"] == "completed"
    assert summary(run)["images_seen"] == 4 * 64
    assert json.loads((run / "environment.json").read_text())["processes"] == PROCESSES
    assert figures(run)[-1]["step"] == 4
    code, _, err = gan_run(f"resume={run}", "trainer.steps=8")
    assert code == 0, err
    assert_same_figures(run, tmp_path / "one")
    states = [torch.load(path / "checkpoints" / "last.pt", weights_only=True) for path in (run, tmp_path / "one")]
    assert torch.equal(states[0]["random"]["torch"], states[1]["random"]["torch"])
    for name, value in states[1]["system"]["networks"].items():
        torch.testing.assert_close(states[0]["system"]["networks"][name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_bad_line_is_reported_once_and_leaves_nothing(tmp_path):
    code, _, complaints, err = ended(torchrun("experiment=smoke", "trainer.batch_size=63", cwd=tmp_path))
    assert code == 1  # torchrun's own; its report has each process's
    assert "(exitcode: 2)" in err
    assert complaints == ["gan-run: trainer.batch_size=63 cannot be divided equally among 2 processes; choose 64"]
    assert not list(tmp_path.glob("outputs/*"))


LONG = [*TINY_RUN, "trainer.steps=100000", "trainer.evaluate_every=0", "trainer.sample_every=0", "hydra.run.dir=run"]


def started(folder, *line):
    """A long run that has saved a checkpoint, and the ids of its processes."""
    process = torchrun(*LONG, "trainer.log_every=20", "trainer.checkpoint_every=20", *line, cwd=folder)
    checkpoint = folder / "run" / "checkpoints" / "last.pt"
    for _ in range(600):
        if checkpoint.exists() or process.poll() is not None:
            break
        time.sleep(0.1)
    assert checkpoint.exists(), process.communicate()
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
    return process, [int(word) for word in listed.stdout.split()][:PROCESSES]


@pytest.mark.slow
def test_a_stop_signal_stops_all_processes_after_saving(tmp_path):
    process, _ = started(tmp_path)
    process.send_signal(signal.SIGTERM)
    code, _, complaints, err = ended(process)
    assert code == 1, err
    assert complaints == ["gan-run: stopped by SIGTERM after saving; continue with: gan-run resume=run"]
    assert summary(tmp_path / "run")["status"] == "interrupted"
    step = torch.load(tmp_path / "run" / "checkpoints" / "last.pt", weights_only=True)["step"]
    assert step == summary(tmp_path / "run")["step"]


@pytest.mark.slow  # and on a busy machine torchrun may stop the other before it has complaints why
@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_is_killed_ends_the_others(tmp_path, victim):
    process, children = started(tmp_path)
    begun = time.monotonic()
    os.kill(sorted(children)[victim], signal.SIGKILL)
    code, _, complaints, err = ended(process)
    assert time.monotonic() - begun < SECONDS_TO_END
    assert code == 1
    assert "(exitcode: -9)" in err
    line = "gan-run: another process of this run ended or does not respond; start all processes again with resume=run"
    assert complaints == [line]
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.pt", weights_only=True)["step"] >= 20


@pytest.mark.slow
def test_a_signal_to_one_process_stops_all_processes(tmp_path):
    process, children = started(tmp_path)
    os.kill(max(children), signal.SIGTERM)
    _, _, complaints, err = ended(process)
    assert "143" in err
    assert complaints == ["gan-run: stopped by SIGTERM after saving; continue with: gan-run resume=run"]
    assert summary(tmp_path / "run")["status"] == "interrupted"


@pytest.mark.slow
@pytest.mark.parametrize("left_out", [(), DEFAULT_OBSERVERS], ids=["none", "all"])
def test_divergence_ends_all_processes_without_any_observer(tmp_path, left_out):
    line = [*TINY_RUN, "optimizer=sgd", "optimizer.lr=1e30", "hydra.run.dir=run"]
    line += [f"~observer.{name}" for name in left_out]
    _, _, complaints, err = ended(torchrun(*line, "trainer.log_every=1", cwd=tmp_path))
    assert "(exitcode: 3)" in err
    assert len(complaints) == 1
    assert summary(tmp_path / "run")["status"] == "diverged"


@pytest.fixture
def restart(monkeypatch):
    """Set the environment of a process that torchrun has restarted n times; its store lasts."""
    store = torch.distributed.TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    fixed = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "MASTER_ADDR": "localhost", "MASTER_PORT": store.port}
    fixed |= {"TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_USE_AGENT_STORE": "True"}

    def restarted(n):
        for name, value in {**fixed, "TORCHELASTIC_RESTART_COUNT": n}.items():
            monkeypatch.setenv(name, str(value))

    yield restarted
    processes.leave()
    del store


def test_a_restarted_run_keeps_its_directory(gan_run, restart):
    restart(0)
    code, _, err = gan_run(*TINY_RUN, "trainer.steps=2")
    assert code == 0, err
    (first,) = Path("outputs").glob("2*/*")
    restart(1)
    assert gan_run(*TINY_RUN, "trainer.steps=2")[0] == 0
    assert list(Path("outputs").glob("2*/*")) == [first]


@pytest.mark.parametrize(("code", "ends"), [(1, False), (2, True), (3, True), (128 + signal.SIGTERM, False)])
def test_only_a_failure_that_would_be_the_same_again_is_not_repeated(restart, code, ends):
    restart(0)
    processes.join()
    processes.present.record_exit(code)
    restart(1)
    with pytest.raises(SystemExit, match=f"^{code}$") if ends else nullcontext():
        processes.join()


def test_a_bad_option_is_not_repeated(gan_run, restart):
    restart(0)
    assert gan_run("experiment=smoke", "los=hinge")[:2] == (2, "")
    restart(1)
    assert gan_run("experiment=smoke", "los=hinge") == (2, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("rendezvous", [[], ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]])
def test_a_killed_run_is_restarted_by_torchrun_where_it_was(tmp_path, rendezvous):
    line = [*LONG[:-1], "trainer.steps=300", "trainer.checkpoint_every=20"]
    process = torchrun(*line, cwd=tmp_path, options=["--max-restarts=2", *rendezvous])
    for _ in range(1200):
        if list(tmp_path.glob("outputs/2*/*/checkpoints/last.pt")) or process.poll() is not None:
            break
        time.sleep(0.1)
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
    os.kill(int(listed.stdout.split()[0]), signal.SIGKILL)
    code, _, _, err = ended(process, 240)
    assert code == 0, err
    (run,) = tmp_path.glob("outputs/2*/*")
    assert summary(run)["step"] == 300
    assert [line["step"] for line in figures(run)] == sorted({line["step"] for line in figures(run)})
    assert "begins again at step 0" not in (run / "run.log").read_text()


@pytest.mark.slow
def test_a_sweep_is_refused(tmp_path):
    _, _, complaints, err = ended(torchrun("-m", "experiment=smoke", "seed=0,1", cwd=tmp_path))
    assert "(exitcode: 2)" in err
    assert complaints == [
        "gan-run: torchrun starts several processes of one run, and a sweep is many runs; sweep without torchrun"
    ]
    assert not list(tmp_path.iterdir())


STREAMED = ["dataset=image_folder", "dataset.root=photos", "dataset.image_size=8", "dataset.resident=false"]


def photos(folder):
    """Some images in a folder."""
    (folder / "photos").mkdir()
    for number in range(40):
        pixels = np.full((8, 8, 3), 6 * number, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{number:02}.png")


@pytest.mark.slow
def test_streamed_images_and_every_coupled_term_at_once(gan_run, tmp_path):
    photos(tmp_path)
    system = ["regularizer=[minibatch_discrimination,ada,lecam,ema]", "trainer.batch_size=8"]
    small = ["model.generator.width=4", "model.discriminator.width=4", *TINY_RUN[3:]]  # DCGAN
    line = [*STREAMED, *system, *small, "dataset.flip=true"]
    code, _, err = gan_run(*line, "hydra.run.dir=one")
    assert code == 0, err
    code, _, _, err = ended(torchrun(*line, "hydra.run.dir=run", cwd=tmp_path))
    assert code == 0, err
    assert_same_figures(tmp_path / "run", tmp_path / "one")


@pytest.mark.slow
def test_a_stop_signal_that_also_reaches_data_workers_saves(tmp_path):
    photos(tmp_path)
    process, _ = started(tmp_path, *STREAMED, "trainer.batch_size=8")
    process.send_signal(signal.SIGTERM)
    _, _, complaints, err = ended(process)
    assert complaints == ["gan-run: stopped by SIGTERM after saving; continue with: gan-run resume=run"], err
    assert summary(tmp_path / "run")["status"] == "interrupted"


@pytest.mark.slow
def test_a_broken_file_read_by_one_process_ends_all(tmp_path):
    photos(tmp_path)
    process, _ = started(tmp_path, *STREAMED, "trainer.batch_size=2", "dataset.workers=0")
    (tmp_path / "photos" / "07.png").write_bytes(b"no image")
    _, _, complaints, err = ended(process)
    assert "(exitcode: 2)" in err
    assert len(complaints) == 1
    assert "07.png cannot be read as an image" in complaints[0]
    assert summary(tmp_path / "run")["status"] == "failed"
