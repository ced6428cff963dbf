"""`gan-run`: compose a configuration, train it, and say in one line what is wrong if something is.

Exit codes: 0 done; 1 failed; 2 bad configuration, data or checkpoint; 3 diverged; 128+n stopped by signal n.
"""

from __future__ import annotations

import math
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from gan_runner import distributed
from gan_runner.composition import look_at_files
from gan_runner.config import CONF, did_you_mean, explain_value, register
from gan_runner.errors import BadInput, ConfigError, DataError, DiskFull, Diverged, Occupied, ProcessLost, Stopped
from gan_runner.files import (
    NO_ROOM,
    RunDirectory,
    hide_in,
    locked,
    read_yaml,
    write_json,
    write_text,
    yaml_of,
)
from gan_runner.outlets import outlets
from gan_runner.secrecy import hidden, named
from gan_runner.sweep import SweepTable

if TYPE_CHECKING:
    from gan_runner.train import Job


@outlets()
def main() -> None:
    """The command `gan-run`."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then hands its exceptions to us, who say them in one line
    sys.argv[1:] = map(named, sys.argv[1:])
    register()
    try:
        distributed.join()
        look_at_files()
        if resumed := resumed_directory(sys.argv[1:]):
            run_job(lambda: resumed_job(resumed, sys.argv[1:]), resumed, multirun=False)
        else:
            hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(run_composed)()
    except Exception as error:
        sys.exit(complain(uncomposed(error)))
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        SweepTable.remove_if_nothing_ran()
        distributed.leave()


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
        """Write where the leader writes: the clocks of the others may say something else."""
        if distributed.present.size > 1:
            with read_write(config):
                config.hydra.run.dir = distributed.present.leaders("directory", config.hydra.run.dir)

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Refuse."""
        if distributed.present.size > 1:
            refusal = "torchrun's processes share one run, and a sweep is many; sweep without torchrun"
            sys.exit(complain(ConfigError(refusal)))


def run_composed(config: DictConfig) -> float | None:
    """Train one configuration, as Hydra composed it."""
    from gan_runner.train import Job

    hydra_config = HydraConfig.get()
    multirun = hydra_config.mode == RunMode.MULTIRUN
    if multirun:
        hide_in(Path(hydra_config.sweep.dir) / "multirun.yaml")  # which Hydra writes, with all that was typed
    directory = RunDirectory(Path(hydra_config.runtime.output_dir))

    def job() -> Job:
        if config.get("resume") is not None:
            raise ConfigError(f"resume={config.resume} is for the command line; leave it out of files")
        choices, typed = hydra_config.runtime.choices, list(hydra_config.overrides.task)
        return Job(config, directory, label_of(choices), typed, multirun)

    return run_job(job, directory, multirun)


def run_job(job: Callable[[], Job], directory: RunDirectory, multirun: bool) -> float | None:
    """Train. In a sweep a failure is told, and the others go on; otherwise it ends the process."""
    from gan_runner.train import train  # here, so that --help and typos need not wait for torch

    sys.argv[1:] = map(hidden, sys.argv[1:])  # now that it was read: W&B keeps it
    try:
        with locked(directory.path) if distributed.present.leads else nullcontext():
            chosen = job()
            if chosen.config.get("seeds") is None:
                return train(chosen)
            from gan_runner.together import train_together  # its tracing takes a second to import

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
    from gan_runner.train import Job, saved_config

    seeds = seeds_in(directory)
    saved, label = saved_config(seeds[0] if seeds else directory)
    if seeds:
        saved.seeds = [read_yaml(seed.config).seed for seed in seeds]
    saved.trusted = []  # never what a checkpoint says
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


def complain(error: Exception | Stopped) -> int:
    """Say an error in one line on standard error, and return the exit code it stands for."""
    line, code = explain(error), exit_code(error)
    if isinstance(error, ProcessLost):
        line, code = distributed.present.cause(line, code)
    if distributed.present.may_say(line, code):
        if code == 1 and not isinstance(error, ProcessLost | DiskFull) and not is_out_of_memory(error):
            print(hidden("".join(traceback.format_exception(error))), file=sys.stderr, end="")
        print(f"gan-run: {' '.join(hidden(line).split())}", file=sys.stderr, flush=True)
    return code


def exit_code(error: Exception | Stopped) -> int:
    """What an error means to a shell or a scheduler."""
    if isinstance(error, BadInput | HydraException | OmegaConfBaseException):
        return 2
    if isinstance(error, Diverged):
        return 3
    return 128 + error.signum if isinstance(error, Stopped) else 1


def explain(error: Exception | Stopped) -> str:
    """One line: what is wrong, and what to do."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return f"there is no {group}={option}{did_you_mean(option, error.options or options_of(group))}"
    for cause in chain(error):
        if isinstance(cause, OmegaConfBaseException) and not isinstance(error, BadInput):
            return explain_value(cause)
    if isinstance(error, OverrideParseException):
        return explain_grammar(error)
    if isinstance(error, HydraException):
        return explain_composition(" ".join(str(error).split()))
    if isinstance(error, DataError):
        return str(error).strip().splitlines()[-1].rpartition("DataError: ")[2]  # a worker's comes with its traceback
    if isinstance(error, BadInput | DiskFull | Stopped | Diverged | ProcessLost):
        return str(error)
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        where = f" of {error.filename}" if error.filename else ""
        return f"the disk{where} is full; make room, and resume=RUN_DIR goes on"
    if is_out_of_memory(error):
        return (
            f"there is too little memory ({asked_for(error)}); choose a smaller trainer.batch_size, smaller networks, "
            "fewer observer.evaluation.samples, or dataset.resident=false"
        )
    return f"{type(error).__name__}: {error}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of a GPU or of the machine, which libraries say by a class or by a line."""
    return isinstance(error, MemoryError) or bool(re.search(NO_MEMORY, str(error)))


NO_MEMORY = r"(?i)out of memory|can't allocate memory|ALLOC_FAILED"
"""What torch, CUDA and cuBLAS say."""


def asked_for(error: BaseException) -> str:
    """How much memory was asked for in vain, as far as is known."""
    found = re.search(r"(?:ried|nable) to allocate ([\d.]+) ?(\w+)", str(error))
    if not found:
        return type(error).__name__
    size = f"{int(found[1]) / 2**30:,.1f} GiB" if found[2] == "bytes" else " ".join(found.groups())
    return f"{size} more were asked for"


def explain_grammar(error: OverrideParseException) -> str:
    """Which word is none, and how values of any characters are typed."""
    key, equals, value = str(error.override).partition("=")
    if not equals:
        return f"{error.override} is no KEY=VALUE; a part is chosen by GROUP=NAME, an option by KEY=VALUE"
    quoted = value.replace('"', '\\"')
    return f"{error.override} cannot be read; type special characters within double quotes: '{key}=\"{quoted}\"'"


def explain_composition(message: str) -> str:
    """Hydra's message; in our words where an option that overrides other groups was put inside another part."""
    if inner := re.match(r"In '(\w+)/(\w+)': Could not override '(\w+)@([\w.]+)\.\w+'", message):
        group, option, other, key = inner.groups()
        return f"{group}={option} sets {other} too, so it cannot be {key}; choose another {group} for {key}"
    unknown = re.match(r"Could not override '(\w+)(@[\w.]+)?'\. No match in the defaults list", message)
    if unknown and (games := games_with(unknown[1])):
        return f"this game has no {unknown[1]} to be chosen; choose game={' | '.join(games)}, or leave it out"
    return message


def games_with(group: str) -> list[str]:
    """The games that have a choice of such a group, by themselves or from the game that they build on."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in (CONF / "game").glob("*.yaml")}
    own = {name for name, text in texts.items() if re.search(rf"^  - /{group}[@:]", text, re.MULTILINE)}
    built = {name for name, text in texts.items() if re.search(rf"^  - ({'|'.join(own)})$", text, re.MULTILINE)}
    return sorted(own | built) if own else []


def options_of(group: str) -> list[str]:
    """The names that a group offers."""
    return [path.stem for path in (CONF / group).glob("*.yaml")]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what caused it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
