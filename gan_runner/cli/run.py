"""`gan-run`: compose a configuration, train it, and report an error in one line.

Exit codes: 0 done; 1 failed; 2 bad configuration, data or checkpoint; 3 diverged; 128+n stopped by signal n. They do
not say whether an experiment reached its expected values: `passed` in `summary.json` does.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial, update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, read_write
from yaml import YAMLError

from gan_runner.cli.completion import nested_completions
from gan_runner.cli.flags import hydra_flags
from gan_runner.cli.messages import explain, report_error
from gan_runner.cli.mistakes import check_words
from gan_runner.cli.resume import resumed_directory, resumed_job
from gan_runner.cli.search import search_options, set_search_defaults
from gan_runner.config.compose import VERSION_BASE
from gan_runner.config.documents import yaml_of
from gan_runner.config.paths import CONF
from gan_runner.config.resolve import register
from gan_runner.config.sweeps import leave_to_jobs
from gan_runner.config.trust import (
    check_files,
    execution_whitelist,
    names_packages,
    search_working_directory,
    without_globs,
)
from gan_runner.distributed import processes
from gan_runner.errors import ConfigError, DirectoryInUse, Stopped
from gan_runner.runs.directory import RunDirectory, check_own, mark_own
from gan_runner.runs.launchers import prepare_launcher, requeue_on_slurm
from gan_runner.runs.lock import locked
from gan_runner.runs.signals import forward_signal
from gan_runner.runs.sweep import SweepTable, sweep_directory
from gan_runner.tools.activity import Activity
from gan_runner.tools.files import check_working_directory, redact_file, write_json, write_text
from gan_runner.tools.home import ensure_home
from gan_runner.tools.pipes import pipe_safe_output
from gan_runner.tools.secrets import name_secrets, redact

if TYPE_CHECKING:
    from gan_runner.train import Job


@pipe_safe_output()
def main() -> None:
    """The command `gan-run`."""
    SweepTable.reset()
    ensure_home()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that Hydra raises its errors, which are reported here
    sys.argv[1:] = map(name_secrets, sys.argv[1:])
    register()
    try:
        check_working_directory()
        line = hydra_flags(sys.argv[1:])
        if completed := nested_completions(line):
            print(completed)
            return
        check_words(line.unknown, line.overrides)
        processes.join()
        Activity.silent = not processes.present.is_main
        if directory := resumed_directory(sys.argv[1:]):
            run_job(lambda: resumed_job(directory, sys.argv[1:]), directory, multirun=False)
        else:
            run_hydra()
            end_sweep()
    except Exception as error:
        end(report_error(SweepTable.after_error(error, as_bad_input(error))))
    except SystemExit as error:
        end(error.code)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        SweepTable.remove_if_nothing_ran()
        processes.leave()


def end(code: str | int | None) -> NoReturn:
    """End the process with this exit code."""
    processes.present.record_exit(code)
    sys.exit(code)


def run_hydra() -> None:
    """Let Hydra execute the command line, with `run_composed` as the job."""
    requeue_on_slurm()
    set_search_defaults()
    line = hydra_flags(sys.argv[1:])
    sweep = line.multirun or "hydra.mode=MULTIRUN" in line.overrides
    overrides = leave_to_jobs(without_globs(line)) if sweep else line.overrides
    if not line.shell_completion:
        check_files(line, overrides)
        if names_packages(line.overrides):
            search_working_directory()
    command = ["gan-run", *sys.argv[1:]]
    search = search_options(line, overrides) if sweep else []
    flags = [word for word in sys.argv[1:] if word not in line.overrides]
    sys.argv[1:] = [*flags, *overrides, *search]  # Hydra takes no flag between overrides
    options = {**VERSION_BASE, **execution_whitelist(overrides)}
    job = update_wrapper(partial(run_composed, command=command), run_composed)
    hydra.main(config_path=str(CONF), config_name="config", **options)(job)()


def end_sweep() -> None:
    """Report the errors of callbacks at the end of a sweep, and end the process with the exit code of the sweep."""
    for error in SweepTable.errors:
        report_error(error)
    if code := SweepTable.exit_code or int(bool(SweepTable.errors)):
        sys.exit(code)


def as_bad_input(error: Exception) -> Exception:
    """Convert an error while composing the configuration or creating the run's directory to a ConfigError."""
    if isinstance(error, HydraException):  # some of which are also OSErrors
        return error
    if isinstance(error, UnicodeDecodeError):
        return ConfigError(f"a file of --config-dir is not UTF-8 ({error}); save it as UTF-8")
    if isinstance(error, YAMLError) and re.search("nesting depth|recursive aliases", str(error)):
        return ConfigError(f"a configuration file is nested too deeply ({error}); correct it")
    if isinstance(error, ValueError | AssertionError | AttributeError | YAMLError):  # OmegaConf has some of each
        return ConfigError(str(error))
    if isinstance(error, TypeError):  # Hydra raises it for a group that is given a list of numbers
        return ConfigError(f"the choice of a part cannot be read ({error}); choose a part by GROUP=NAME")
    if isinstance(error, OSError):
        other = "another hydra.run.dir (in a sweep, hydra.sweep.dir)"
        return ConfigError(f"{error.filename} cannot be used ({error.strerror}); choose {other}")
    if isinstance(error, RecursionError):
        return ConfigError("the configuration is nested too deeply; does a file include itself in its defaults list?")
    return error


class SharedDirectory(Callback):
    """Hydra's callback before a run or a sweep: it checks the directory, which all processes of a run share."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Use the directory that the main process had first: its name has the time, and torchrun may restart it."""
        with read_write(config):
            config.hydra.run.dir = processes.present.first("directory", config.hydra.run.dir)
        try:
            if processes.present.is_main:
                check_own(Path(config.hydra.run.dir), "hydra.run.dir")
        except Exception as error:
            sys.exit(report_error(as_bad_input(error)))

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Report a sweep that torchrun starts, that has several tasks per run, or that would overwrite other files."""
        try:
            if processes.present.size > 1:
                raise ConfigError(
                    "torchrun starts several processes of one run, and a sweep is many runs; sweep without torchrun"
                )
            prepare_launcher(config.hydra.launcher)
            check_own(sweep_directory(config), "hydra.sweep.dir")
            mark_own(sweep_directory(config))
        except Exception as error:
            sys.exit(report_error(as_bad_input(error)))


def run_composed(config: DictConfig, command: Sequence[str]) -> float | None:
    """Train one configuration, as Hydra composed it from a command line."""
    from gan_runner.train import Job

    hydra_config = HydraConfig.get()
    multirun = hydra_config.mode == RunMode.MULTIRUN
    if multirun:
        redact_file(Path(hydra_config.sweep.dir) / "multirun.yaml")  # Hydra writes the command line into it
    directory = RunDirectory(Path(hydra_config.runtime.output_dir))
    if multirun:
        check_own(directory.path, "hydra.sweep.subdir", in_sweep=True)

    def job() -> Job:
        if config.get("resume") is not None:
            raise ConfigError(f"a file sets resume={config.resume}; type it on the command line instead")
        typed = list(hydra_config.overrides.task)
        return Job(config, directory, label_of(hydra_config.runtime.choices), typed, multirun, command=command)

    return run_job(job, directory, multirun)


def run_job(job: Callable[[], Job], directory: RunDirectory, multirun: bool) -> float | None:
    """Train. An error ends the process; in a sweep it is saved in `summary.json`, and the other jobs continue.

    Returns:
        The value that a sweeper minimises or maximises; None if the job failed.
    """
    from gan_runner.train import train

    Activity.end_all()  # the command has started
    sys.argv[1:] = map(redact, sys.argv[1:])  # W&B stores the command line
    try:
        with locked(directory.path) if processes.present.is_main else nullcontext():
            chosen = job()
            if multirun and chosen.config.get("seeds") is None:  # several seeds have directories of their own
                announce(directory)
            if chosen.config.explain:
                print_sheet(chosen)
                return None
            if chosen.config.get("seeds") is None:
                return train(chosen)
            from gan_runner.multiseed.train import train_together

            return train_together(chosen)
    except Stopped as error:
        code = report_error(error, directory.path)
        forward_signal(error.signum)
        sys.exit(code)  # a signal ends the whole sweep
    except Exception as error:
        code = report_error(error, directory.path)
        if not multirun:
            sys.exit(code)
        write_failure(directory, error, code)
        return None
    finally:
        directory.remove_if_empty()


def print_sheet(job: Job) -> None:
    """Print what a job would train, in formulas."""
    from gan_runner.multiseed.train import jobs_of
    from gan_runner.train import explain

    jobs = [job] if job.config.get("seeds") is None else jobs_of(job)
    sheet = explain(jobs[0])
    if processes.present.is_main:
        seeds = ", ".join(str(one.config.seed) for one in jobs)
        print(sheet, f"seeds      {seeds}" * (len(jobs) > 1), sep="\n")


def announce(directory: RunDirectory) -> None:
    """Save the options of a job of a sweep, so that the table lists it even if it is killed before it starts."""
    if not directory.overrides.exists():
        write_text(directory.overrides, yaml_of(HydraConfig.get().overrides.task))


def write_failure(directory: RunDirectory, error: Exception, code: int) -> None:
    """Save why a job of a sweep failed, unless the run has a summary, or another run uses its directory."""
    if isinstance(error, DirectoryInUse) or any(directory.path.glob("**/summary.json")):
        return
    announce(directory)
    write_json(directory.summary, {"status": "failed", "exit_code": code, "error": explain(error, directory.path)})


def label_of(choices: Mapping[str, Any]) -> str:
    """The names of the chosen parts: play, game and method if not the default; model, loss, regularizers, dataset."""
    named = [choices.get(group) for group in ("model", "loss", "regularizer", "dataset")]
    for group, usual in (("method", None), ("game", "gan"), ("play", "alternating")):
        if choices.get(group) != usual:
            named.insert(0, choices.get(group))
    words = [" ".join(map(str, name)) if isinstance(name, list) else name for name in named]
    return " ".join(str(word) for word in words if word)
