"""Sweeps by launchers: time limits and preemption on SLURM, killed jobs, options that cannot work."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hydra.core.plugins import Plugins
from tiny_runs import TINY_RUN

import gan_runner.train
from gan_runner.tools.files import write_json

submitit = pytest.importorskip("submitit")
from submitit.core.submission import process_job  # noqa: E402

SLURM = ["-m", *TINY_RUN, "hydra/launcher=submitit_slurm", "hydra.sweep.dir=sweep"]


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Stand-ins for SLURM's commands, which write what they were called with to a file."""
    calls = tmp_path / "calls.txt"
    answers = {
        "sbatch": "echo Submitted batch job 77",
        "srun": "",
        "scontrol": "",
        "sacct": "printf 'JobID|State|NodeList\\n77_0|FAILED|n\\n77_1|COMPLETED|n\\n'",
    }
    (tmp_path / "bin").mkdir()
    for name, answer in answers.items():
        path = tmp_path / "bin" / name
        path.write_text(f'#!/bin/sh\necho {name} "$@" >> {calls}\n{answer}\n')
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return calls


@pytest.fixture
def in_this_process(monkeypatch):
    """Let `results` of SLURM's jobs first run the job here, in SLURM's environment, again after each requeue."""
    results = submitit.Job.results
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGCONT, signal.SIGUSR2)}

    def arrange(starts, before=lambda job: None):
        def run(job):
            before(job)
            array, _, task = job.job_id.partition("_")
            of_array = {"SLURM_ARRAY_JOB_ID": array, "SLURM_ARRAY_TASK_ID": task} if task else {}
            with monkeypatch.context() as patch:
                for name, value in {"SLURM_JOB_ID": array, "SUBMITIT_EXECUTOR": "slurm", **of_array}.items():
                    patch.setenv(name, value)
                for _ in range(starts):
                    with suppress(SystemExit):
                        process_job(job.paths.folder)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            return results(job)

        monkeypatch.setattr(submitit.Job, "results", run)

    return arrange


@pytest.mark.parametrize("signals", [["USR2"], ["TERM", "USR2"]], ids=["time is over", "preempted"])
def test_slurm_requeues_a_job_which_resumes(gan_run, commands, in_this_process, monkeypatch, signals):
    build_system, left = gan_runner.train.build_system, [2]

    def building(config):
        system = build_system(config)
        scheme = system.update_scheme

        def stepping(*arguments):
            left[0] -= 1
            for name in signals * (left[0] == 0):
                signal.raise_signal(signal.Signals[f"SIG{name}"])
            return scheme(*arguments)

        system.update_scheme = stepping
        return system

    monkeypatch.setattr(gan_runner.train, "build_system", building)
    in_this_process(starts=2)
    code, out, err = gan_run(*SLURM, "hydra.launcher.timeout_min=10")
    assert code == 0, err
    called = commands.read_text().splitlines()
    assert called[0].startswith("sbatch ")
    assert called[1:] == ["scontrol requeue 77"]
    log = Path("sweep/0/run.log").read_text()
    assert log.index("interrupted at step 2 of 4") < log.index("completed at step 4 of 4")
    assert "1 of 1" in out


def test_a_killed_job_is_in_the_table_with_the_others(gan_run, commands, in_this_process):
    def kill_the_first(job):
        if job.job_id == "77_0":  # what is left of a run that is killed while it reads its data
            Path("sweep/0").mkdir()
            Path("sweep/0/overrides.yaml").write_text("[seed=0]")
            raise submitit.core.utils.UncompletedJobError("it left no result")

    in_this_process(starts=1, before=kill_the_first)
    code, out, err = gan_run(*SLURM, "seed=0,1")
    assert (code, err) == (1, "")
    assert "run 0 killed: the run ended without a summary.json\n" in out
    rows = json.loads(Path("sweep/sweep.json").read_text())
    assert [row["completed"] for row in rows] == [0, 1]
    command = json.loads(Path("sweep/1/environment.json").read_text())["command"]
    assert command == ["gan-run", *SLURM, "seed=0,1"]


def test_a_job_of_a_sweep_is_listed_before_its_data_is_read(gan_run, monkeypatch):
    seen = []
    monkeypatch.setattr(gan_runner.train, "train", lambda job: seen.append(job.directory.read_overrides()))
    assert gan_run("-m", "experiment=smoke", "seed=3", "hydra.sweep.dir=sweep")[0] == 0
    assert seen == [["experiment=smoke", "seed=3"]]
    assert not Path("sweep").exists()


def test_the_error_of_a_launcher_is_one_line_after_the_table(gan_run, monkeypatch):
    def instantiate(*arguments, **named):
        launcher = instantiate_launcher(*arguments, **named)
        launch = launcher.launch

        def failing(job_overrides, initial_job_idx):
            launch(job_overrides[:2], initial_job_idx)
            raise RuntimeError("a worker was killed. It had\nexit code -9")

        launcher.launch = failing
        return launcher

    def train(job):
        write_json(job.directory.summary, {"status": "completed", "best": {}, "final": {}})

    instantiate_launcher = Plugins.instantiate_launcher
    monkeypatch.setattr(Plugins, "instantiate_launcher", instantiate)
    monkeypatch.setattr(gan_runner.train, "train", train)
    code, out, err = gan_run("-m", *TINY_RUN, "seed=0,1,2", "hydra.sweep.dir=sweep")
    assert code == 1
    assert "2 of 2" in out
    assert json.loads(Path("sweep/sweep.json").read_text())[0]["completed"] == 2
    assert err == (
        "gan-run: the launcher ended the sweep (RuntimeError: a worker was killed); to continue its unfinished runs, "
        "type the same command with hydra.sweep.dir=sweep\n"
    )


@pytest.mark.parametrize("launcher", ["submitit_slurm", "submitit_local"])
def test_several_tasks_for_one_run_are_refused(gan_run, launcher):
    code, _, err = gan_run("-m", *TINY_RUN, f"hydra/launcher={launcher}", "hydra.launcher.tasks_per_node=2")
    assert code == 2
    assert err.startswith("gan-run: hydra.launcher.tasks_per_node=2 would start every run of the sweep 2 times")
    assert err.count("\n") == 1
    assert not Path("outputs").exists()


def test_max_num_timeout_can_be_typed(gan_run):
    for typed, number in (([], 1000), (["hydra.launcher.max_num_timeout=2"], 2)):
        code, out, _ = gan_run("experiment=smoke", "hydra/launcher=submitit_slurm", *typed, "--cfg", "hydra")
        assert code == 0
        assert f"max_num_timeout: {number}\n" in out


SBATCH = """#!PYTHON
import os, subprocess, sys
output = {"stdin": subprocess.DEVNULL, "stdout": open("job.txt", "w"), "stderr": subprocess.STDOUT}
subprocess.Popen(["sh", sys.argv[1]], env={**os.environ, "SLURM_JOB_ID": "77"}, start_new_session=True, **output)
open("script.txt", "w").write(sys.argv[1])
print("Submitted batch job 77")
"""
SRUN = """#!PYTHON
import os, sys
words = sys.argv[1:]
while words[0].startswith("--"):
    words = words[1:] if words[0] == "--unbuffered" else words[2:]
open("worker.txt", "w").write(str(os.getpid()))
os.execvp(words[0], words)
"""


@pytest.mark.slow
def test_a_job_whose_time_is_over_is_requeued_by_slurm_and_resumes(tmp_path, monkeypatch):
    """With processes of their own, started by stand-ins for `sbatch` and `srun`, and again by `scontrol requeue`."""
    monkeypatch.chdir(tmp_path)
    scripts = {
        "sbatch": SBATCH,
        "srun": SRUN,
        "scontrol": "#!/bin/sh\necho $@ >> requeued.txt\n(sleep 1; sh $(cat script.txt)) > again.txt 2>&1 &\n",
        "sacct": "#!/bin/sh\nprintf 'JobID|State|NodeList\\n77|RUNNING|n\\n'\n",
    }
    for name, text in scripts.items():
        (tmp_path / name).write_text(text.replace("PYTHON", sys.executable))
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    line = [*SLURM, "trainer.steps=2000", "trainer.checkpoint_every=0", "trainer.evaluate_every=0", "objective=null"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gan_runner", *line, "hydra.launcher.timeout_min=10"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        metrics, deadline = tmp_path / "sweep/0/metrics.jsonl", time.monotonic() + 240
        while not metrics.exists() or not metrics.stat().st_size:
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline, (tmp_path / "job.txt").read_text()
            time.sleep(0.05)
        os.kill(int((tmp_path / "worker.txt").read_text()), signal.SIGUSR2)
        out, _ = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 0, out
    assert (tmp_path / "requeued.txt").read_text() == "requeue 77\n"
    log = (tmp_path / "sweep/0/run.log").read_text()
    assert log.index("interrupted at step") < log.index("completed at step 2000")


@pytest.mark.slow
def test_ray_runs_a_sweep(tmp_path):
    """In processes of its own, since Ray starts a server for them."""
    pytest.importorskip("hydra_plugins.hydra_ray_launcher")
    ray = ["hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"]
    line = [sys.executable, "-m", "gan_runner", "-m", *TINY_RUN, *ray, "seed=0,1", "hydra.sweep.dir=sweep"]
    ended = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert json.loads((tmp_path / "sweep/sweep.json").read_text())[0]["completed"] == 2
    for number in "01":
        environment = json.loads((tmp_path / "sweep" / number / "environment.json").read_text())
        assert environment["command"] == ["gan-run", *line[3:]]
