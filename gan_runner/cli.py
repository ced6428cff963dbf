"""`gan-run`: compose a configuration, train it, and say in one line what is wrong if something is.

Exit codes: 0 done; 1 failed; 2 bad configuration, data or checkpoint; 3 diverged; 128+n stopped by signal n.
"""

from __future__ import annotations

import math
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gan_runner.config import CONF, did_you_mean, explain_value, register
from gan_runner.errors import BadInput, ConfigError, DataError, Diverged, Stopped
from gan_runner.files import RunDirectory, write_json
from gan_runner.sweep import SweepTable

if TYPE_CHECKING:
    from gan_runner.train import Job


def main() -> None:
    """The command `gan-run`."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then hands its exceptions to us, who say them in one line
    register()
    try:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(run_job)()
    except ValueError as error:  # Hydra could not compose; what goes wrong in a run, `run_job` tells
        sys.exit(complain(ConfigError(str(error))))
    except Exception as error:
        SweepTable.remove_if_nothing_ran()
        sys.exit(complain(error))
    except KeyboardInterrupt:
        sys.exit(130)


def run_job(config: DictConfig) -> float | None:
    """Train one configuration, as Hydra composed it. In a sweep a failure is told, and the others go on."""
    from gan_runner.train import train  # here, so that --help and typos need not wait for torch

    hydra_config = HydraConfig.get()
    multirun = hydra_config.mode == RunMode.MULTIRUN
    directory = RunDirectory(Path(hydra_config.runtime.output_dir))
    try:
        return train(job_from(config, directory, multirun))
    except Exception as error:
        code = complain(error)
        if not multirun or isinstance(error, Stopped):  # a signal means the whole sweep
            sys.exit(code)
        if not directory.summary.exists():
            OmegaConf.save(hydra_config.overrides.task, directory.overrides)
            write_json(directory.summary, {"status": "failed", "exit_code": code, "error": explain(error)})
        return math.nan
    finally:
        directory.remove_if_empty()


def job_from(config: DictConfig, directory: RunDirectory, multirun: bool) -> Job:
    """What to train: the composed configuration, or that of the run to go on with."""
    from gan_runner.train import Job, saved_config

    hydra_config = HydraConfig.get()
    overrides = list(hydra_config.overrides.task)
    choices = dict(hydra_config.runtime.choices)
    if config.resume is None:
        return Job(config, directory, label_of(choices), overrides, multirun)
    saved, label = saved_config(directory)
    for override in OverridesParser.create().parse_overrides(overrides):
        key = override.key_or_group
        if key in choices:
            raise ConfigError(
                f"{override.input_line} would change the parts of the run to resume; "
                "leave it out, or start a new run without resume"
            )
        OmegaConf.update(saved, key, override.value(), merge=True, force_add=True)
    saved.trusted = config.trusted  # never what a checkpoint says
    return Job(saved, directory, label, overrides, multirun, resumed=True)


def label_of(choices: dict[str, Any]) -> str:
    """The chosen parts in words: game, model, loss, regularizers, dataset."""
    named = [choices.get(group) for group in ("model", "loss", "regularizer", "dataset")]
    if choices.get("game") != "gan":
        named.insert(0, choices.get("game"))
    words = [" ".join(map(str, name)) if isinstance(name, list) else name for name in named]
    return " ".join(str(word) for word in words if word)


def complain(error: Exception) -> int:
    """Say an error in one line on standard error, and return the exit code it stands for."""
    code = exit_code(error)
    if code == 1:
        traceback.print_exception(error)
    print(f"gan-run: {explain(error)}", file=sys.stderr)
    return code


def exit_code(error: Exception) -> int:
    """What an error means to a shell or a scheduler."""
    if isinstance(error, BadInput | HydraException | OmegaConfBaseException):
        return 2
    if isinstance(error, Diverged):
        return 3
    return 128 + error.signum if isinstance(error, Stopped) else 1


def explain(error: Exception) -> str:
    """One line: what is wrong, and what to do."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return f"there is no {group}={option}{did_you_mean(option, error.options or options_of(group))}"
    for cause in chain(error):
        if isinstance(cause, OmegaConfBaseException) and not isinstance(error, ConfigError):
            return explain_value(cause)
    if isinstance(error, HydraException):
        return " ".join(str(error).split())
    if isinstance(error, DataError):
        return str(error).strip().splitlines()[-1].rpartition("DataError: ")[2]  # a worker's comes with its traceback
    if isinstance(error, BadInput | Stopped | Diverged):
        return " ".join(str(error).split())
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def options_of(group: str) -> list[str]:
    """The names that a group offers."""
    return [path.stem for path in (CONF / group).glob("*.yaml")]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what caused it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
