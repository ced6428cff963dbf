"""Report an error as one line: what is wrong, why, and what to do."""

from __future__ import annotations

import errno
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from gan_runner.cli.mistakes import instead_of_name, not_installed
from gan_runner.config.explain import explain_value
from gan_runner.config.lookup import suggested_option
from gan_runner.config.options import options_in
from gan_runner.config.paths import CONF
from gan_runner.distributed import processes
from gan_runner.errors import (
    RESUME_HINT,
    BadInput,
    DataError,
    DiskFull,
    Diverged,
    JobsLost,
    ProcessLost,
    Stopped,
    WorkerLost,
    with_directory,
)
from gan_runner.tools.files import NO_ROOM, relative
from gan_runner.tools.secrets import redact


def report_error(error: Exception | Stopped, directory: Path | None = None) -> int:
    """Print an error as one line on standard error, and return its exit code.

    Args:
        error: the error.
        directory: the run's directory, for the advice how to resume.
    """
    error = WorkerLost(error) if WorkerLost.is_reported_by(error) else error
    line, code = explain(error, directory), exit_code(error)
    if isinstance(error, ProcessLost):
        line, code = processes.present.first_failure(line, code)
    if processes.present.claim_message(line, code):
        if code == 1 and not is_explained(error):
            print(redact("".join(traceback.format_exception(error))), file=sys.stderr, end="")
        print(f"gan-run: {' '.join(redact(line).split())}", file=sys.stderr, flush=True)
    return code


def is_explained(error: Exception | Stopped) -> bool:
    """Whether the line of an error says all that there is to know, so that its traceback would not help."""
    no_room = isinstance(error, OSError) and error.errno in NO_ROOM
    return no_room or isinstance(error, ProcessLost | JobsLost | DiskFull) or is_out_of_memory(error)


def exit_code(error: Exception | Stopped) -> int:
    """The exit code of an error: 2 bad input, 3 diverged, 128 + n stopped by signal n, 1 anything else."""
    if isinstance(error, BadInput | HydraException | OmegaConfBaseException):
        return 2
    if isinstance(error, Diverged):
        return 3
    return 128 + error.signum if isinstance(error, Stopped) else 1


def explain(error: Exception | Stopped, directory: Path | None = None) -> str:
    """One line that says what is wrong and what to do; `directory` is that of the run, if it has one."""
    line = explain_kind(error)
    return line if directory is None else with_directory(line, relative(directory))


def explain_kind(error: Exception | Stopped) -> str:
    """The line for an error, by its class."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return explain_missing(str(error.missing_cfg_file), error.options or ())
    for cause in chain(error):
        if isinstance(cause, OmegaConfBaseException) and not isinstance(error, BadInput):
            return explain_value(cause)
    if isinstance(error, OverrideParseException):
        return explain_grammar(error)
    if isinstance(error, HydraException):
        return explain_composition(" ".join(str(error).split()))
    if isinstance(error, DataError):
        return str(error).strip().splitlines()[-1].rpartition("DataError: ")[2]  # a worker's error has its traceback
    if isinstance(error, BadInput | DiskFull | Stopped | Diverged | ProcessLost | JobsLost):
        return str(error)
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return explain_no_room(error)
    if is_out_of_memory(error):
        return (
            f"there is not enough memory ({asked_for(error)}); choose a smaller trainer.batch_size, smaller networks, "
            "fewer observer.evaluation.samples, or dataset.resident=false"
        )
    return f"{type(error).__name__}: {error}"


def explain_no_room(error: OSError) -> str:
    """A line for a full disk, or for a limit of the size of files."""
    where = f" of {error.filename}" if error.filename else ""
    if error.errno == errno.EFBIG:
        return f"a file{where} may not be so large; raise the limit (ulimit -f), then type: gan-run {RESUME_HINT}"
    return f"the disk{where} is full; free some space, then continue with: gan-run {RESUME_HINT}"


def explain_missing(path: str, siblings: Iterable[str]) -> str:
    """A line for an option that does not exist, with a suggestion.

    Args:
        path: the path of the option, such as `loss/hing` or `experiment/gulrajani2017/8gaussian`.
        siblings: the options in the same folder, those in the user's own folders too.
    """
    first, _, _ = path.partition("/")
    group = first if any("/" in name for name in options_in(first)) and first != "setting" else path.rpartition("/")[0]
    option = path.removeprefix(f"{group}/")
    folder = option.rpartition("/")[0]
    names = {*options_in(group), *(f"{folder}/{name}".lstrip("/") for name in siblings)}
    inside = sorted(name for name in names if name.startswith(f"{option}/"))
    suggestion = f"; choose from {', '.join(inside)}" if inside else not_installed(group, option)
    suggestion = suggestion or suggested_option(group, option, names)
    return f"there is no {group}={option}{suggestion}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the memory of the machine or of a GPU ran out, by the class or the text of the error."""
    return isinstance(error, MemoryError) or bool(re.search(NO_MEMORY, str(error)))


NO_MEMORY = r"(?i)out of memory|can't allocate memory|ALLOC_FAILED"
"""The messages of torch, CUDA and cuBLAS."""


def asked_for(error: BaseException) -> str:
    """The amount of memory that could not be allocated, if the error names it."""
    found = re.search(r"(?:ried|nable) to allocate ([\d.]+) ?(\w+)", str(error))
    if not found:
        return type(error).__name__
    size = f"{int(found[1]) / 2**30:,.1f} GiB" if found[2] == "bytes" else " ".join(found.groups())
    return f"{size} more were needed"


def explain_grammar(error: OverrideParseException) -> str:
    """The word that Hydra cannot read, and how to type special characters."""
    key, equals, value = str(error.override).partition("=")
    if not equals:
        advice = instead_of_name(str(error.override)) or "; choose a part by GROUP=NAME, and set an option by KEY=VALUE"
        return f"{error.override} has no value{advice}"
    quoted = value.replace('"', '\\"')
    return f"{error.override} cannot be read; put special characters in double quotes: '{key}=\"{quoted}\"'"


def explain_composition(message: str) -> str:
    """Hydra's message; our own where an option was chosen for a part or a game that cannot take it."""
    if inner := re.match(rf"In '(\w+)/(\w+)': {OVERRIDES} '(\w+)@([\w.]+)\.\w+'", message):
        group, option, other, key = inner.groups()
        return (
            f"{group}={option} also sets {other}, which is not possible inside another part; choose another {group} "
            f"for {key}"
        )
    unknown = re.match(r"Could not override '(\w+)(@[\w.]+)?'\. No match in the defaults list", message)
    if unknown and (games := games_with(unknown[1])):
        return f"this game has no {unknown[1]}; choose game={' | '.join(games)}, or leave it out"
    if chosen := re.match(r"Multiple values for (\S+)\. To override a value use 'override \S+: (.*)'", message):
        group, option = chosen.groups()
        return f"{group} has a default already; type {group}={option} without +"
    return message


OVERRIDES = r"(?:Could not override|Invalid Defaults List override .*\. No earlier Group Default for)"
"""The messages of Hydra 1.3 and 1.4 for an option that overrides a group which is not there."""


def games_with(group: str) -> list[str]:
    """The games in whose defaults list, or in that of the game they extend, this group is chosen."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in (CONF / "game").glob("*.yaml")}
    own = {name for name, text in texts.items() if re.search(rf"^  - /{group}[@:]", text, re.MULTILINE)}
    built = {name for name, text in texts.items() if re.search(rf"^  - ({'|'.join(own)})$", text, re.MULTILINE)}
    return sorted(own | built) if own else []


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, its cause, the cause of that, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
