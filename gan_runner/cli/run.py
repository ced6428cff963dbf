"""`gan-run`: compose a configuration, train it, and say in one line what is wrong if something is.

Exit codes: 0 done; 1 failed; 2 bad configuration, data or checkpoint; 3 diverged; 128+n stopped by signal n.
"""

from __future__ import annotations

import math
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, read_write
from yaml import YAMLError

from gan_runner.cli.arguments import hydra_flags
from gan_runner.cli.messages import complain, explain
from gan_runner.config.compose import VERSION_BASE
from gan_runner.config.documents import yaml_of
from gan_runner.config.paths import CONF
from gan_runner.config.resolve import register
from gan_runner.config.sweeps import leave_to_jobs
from gan_runner.config.trust import check_files, execution_whitelist
from gan_runner.distributed import processes
from gan_runner.errors import ConfigError, Occupied, Stopped
from gan_runner.runs.directory import RunDirectory
from gan_runner.runs.lock import locked
from gan_runner.runs.saved import SavedRun, open_checkpoint
from gan_runner.runs.sweep import SweepTable
from gan_runner.tools.files import redact_file, write_json, write_text
from gan_runner.tools.outlets import outlets
from gan_runner.tools.secrets import name_secrets, redact

if TYPE_CHECKING:
    from gan_runner.train import Job


@outlets()
def main() -> None:
    """The command `gan-run`."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then hands its exceptions to us, who say them in one line
    sys.argv[1:] = map(name_secrets, sys.argv[1:])
    register()
    try:
        processes.join()
        if resumed := resumed_directory(sys.argv[1:]):
            run_job(lambda: resumed_job(resumed, sys.argv[1:]), resumed, multirun=False)
        else:
            run_hydra()
    except Exception as error:
        sys.exit(complain(uncomposed(error)))
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        SweepTable.remove_if_nothing_ran()
        processes.leave()


def run_hydra() -> None:
    """Have Hydra do what the command line says, with `run_composed` as the job."""
    line = hydra_flags(sys.argv[1:])
    overrides = leave_to_jobs(line.overrides) if line.multirun else line.overrides
    if not (line.shell_completion or line.version):
        check_files(line, overrides)
    rewritten = dict(zip(line.overrides, overrides))
    sys.argv[1:] = [rewritten.get(word, word) for word in sys.argv[1:]]
    options = {**VERSION_BASE, **execution_whitelist(overrides)}
    hydra.main(config_path=str(CONF), config_name="config", **options)(run_composed)()


def uncomposed(error: Exception) -> Exception:
    """What kept Hydra from composing a configuration, or from making its directory, as bad input."""
    if isinstance(error, HydraException):  # of which some are OSErrors
        return error
    if isinstance(error, UnicodeDecodeError):
        return ConfigError(f"a file of --config-dir is not UTF-8: {error}")
    if isinstance(error, ValueError | YAMLError):
        return ConfigError(str(error))
    if isinstance(error, TypeError):  # Hydra's, of a group that is given a list of numbers
        return ConfigError(f"a choice of parts cannot be read ({error}); a part is chosen by GROUP=NAME")
    if isinstance(error, OSError):
        other = "another hydra.run.dir (of a sweep hydra.sweep.dir)"
        return ConfigError(f"{error.filename} cannot be used ({error.strerror}); choose {other}")
    if isinstance(error, RecursionError):
        return ConfigError("the configuration is nested too deeply; does a file name itself in its defaults?")
    return error


class Together(Callback):
    """Several processes of one run share its directory; a sweep is many runs, which they refuse."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Write where the main process writes: the clocks of the others may say something else."""
        if processes.present.size > 1:
            with read_write(config):
                config.hydra.run.dir = processes.present.broadcast("directory", config.hydra.run.dir)

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Refuse."""
        if processes.present.size > 1:
            refusal = "torchrun's processes share one run, and a sweep is many; sweep without torchrun"
            sys.exit(complain(ConfigError(refusal)))


def run_composed(config: DictConfig) -> float | None:
    """Train one configuration, as Hydra composed it."""
    from gan_runner.train import Job

    hydra_config = HydraConfig.get()
    multirun = hydra_config.mode == RunMode.MULTIRUN
    if multirun:
        redact_file(Path(hydra_config.sweep.dir) / "multirun.yaml")  # which Hydra writes, with all that was typed
    directory = RunDirectory(Path(hydra_config.runtime.output_dir))

    def job() -> Job:
        if config.get("resume") is not None:
            raise ConfigError(f"resume={config.resume} is for the command line; leave it out of files")
        choices, typed = hydra_config.runtime.choices, list(hydra_config.overrides.task)
        return Job(config, directory, label_of(choices), typed, multirun)

    return run_job(job, directory, multirun)


def run_job(job: Callable[[], Job], directory: RunDirectory, multirun: bool) -> float | None:
    """Train. In a sweep a failure is told, and the others go on; otherwise it ends the process."""
    from gan_runner.train import train

    sys.argv[1:] = map(redact, sys.argv[1:])  # now that it was read: W&B keeps it
    try:
        with locked(directory.path) if processes.present.is_main else nullcontext():
            chosen = job()
            if chosen.config.get("seeds") is None:
                return train(chosen)
            from gan_runner.multiseed.train import train_together

            return train_together(chosen)
    except (Exception, Stopped) as error:
        code = complain(error)
        if isinstance(error, Stopped):
            hand_over(error.signum)
        if not multirun or isinstance(error, Stopped):  # a signal means the whole sweep
            sys.exit(code)
        if not isinstance(error, Occupied) and not any(directory.path.glob("**/summary.json")):
            if not directory.overrides.exists():
                write_text(directory.overrides, yaml_of(HydraConfig.get().overrides.task))
            write_json(directory.summary, {"status": "failed", "exit_code": code, "error": explain(error)})
        return math.nan
    finally:
        directory.remove_if_empty()


def hand_over(signum: int) -> None:
    """Now that all is saved, give the signal to who handled it before the run: submitit then requeues its job."""
    handler = signal.getsignal(signum)
    if callable(handler) and handler is not signal.default_int_handler:
        handler(signum, None)


def resumed_directory(arguments: Sequence[str]) -> RunDirectory | None:
    """The directory of the run to go on with, if the command line names one.

    Raises:
        ConfigError: it also asks for something that only a new run can do.
    """
    paths = [argument.partition("=")[2].strip("'\"") for argument in arguments if RESUME.match(argument)]
    if not paths or paths[-1] in ("", "null"):
        return None
    if flags := [argument for argument in arguments if argument.startswith("-")]:
        raise ConfigError(f"resume goes on with one run, without {flags[0]}; repeat a sweep with its hydra.sweep.dir")
    path = Path(paths[-1]).expanduser().absolute()
    if not path.is_dir():
        held = path.parent.parent if path.parent.name == "checkpoints" else path.parent
        what = f"a file; try resume={held}" if path.exists() else "not there"
        raise ConfigError(f"there is no checkpoint in {path}, which is {what}")
    if (path / "multirun.yaml").exists():
        raise ConfigError(f"{path} is a sweep; type its line again with hydra.sweep.dir={path}, or resume={path / '0'}")
    return RunDirectory(path)


RESUME = re.compile(r"\+{0,2}resume=")
"""How the option is typed, or with a plus or two."""


def resumed_job(directory: RunDirectory, arguments: Sequence[str]) -> Job:
    """The configuration that the run was saved with, with the options of this command line."""
    from gan_runner.train import Job

    seeds = seeds_in(directory)
    checkpoint = open_checkpoint((seeds[0] if seeds else directory).path)
    saved, label = checkpoint.config(), checkpoint.state["label"]
    if seeds:
        saved.seeds = [SavedRun(seed.path).config.seed for seed in seeds]
    OmegaConf.set_struct(saved, True)
    others = [argument for argument in arguments if not RESUME.match(argument)]
    overrides = OverridesParser.create().parse_overrides(others)
    for override in overrides:
        key = override.key_or_group
        if key.startswith("hydra."):
            raise ConfigError(f"resume goes on in the run's own directory; leave {override.input_line} out")
        if override.is_sweep_override():
            raise ConfigError(f"resume goes on with one run, and {override.input_line} is several; choose one value")
        if (CONF / key).is_dir() or override.is_delete() or key == "seeds":
            raise ConfigError(
                f"{override.input_line} would change the parts of the run to resume; "
                "leave it out, or start a new run without resume"
            )
        added = override.is_add() or override.is_force_add()
        OmegaConf.update(saved, key, override.value(), merge=True, force_add=added)
    return Job(saved, directory, label, [str(override.input_line) for override in overrides], resumed=True)


def seeds_in(directory: RunDirectory) -> list[RunDirectory]:
    """The directories of several seeds that were trained together in this one: 0, 1, 2, …"""
    numbered = (RunDirectory(directory.path / str(number)) for number in count())
    return list(takewhile(lambda seed: seed.config.exists(), numbered))


def label_of(choices: Mapping[str, Any]) -> str:
    """The chosen parts in words: play, game and method if unusual, model, loss, regularizers, dataset."""
    named = [choices.get(group) for group in ("model", "loss", "regularizer", "dataset")]
    for group, usual in (("method", None), ("game", "gan"), ("play", "alternating")):
        if choices.get(group) != usual:
            named.insert(0, choices.get(group))
    words = [" ".join(map(str, name)) if isinstance(name, list) else name for name in named]
    return " ".join(str(word) for word in words if word)
