"""Files that are written completely or not at all."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from gan_runner.errors import ConfigError, DiskFull
from gan_runner.tools.secrets import redact

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The errors of a full disk, a full quota and a limit of the size of files."""

NOT_OFFERED = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK, errno.EPERM, errno.EACCES)
"""The errors of file systems that do not offer an operation: some network file systems, FUSE, shared folders."""


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file atomically: whatever happens, it has its complete new content or its old one.

    Raises:
        DiskFull: there is no room for it.
    """
    content = io.BytesIO()
    write(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")  # unique to this writer
    try:
        with partial.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            sync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)  # free its space before it is measured
        if error.errno in NO_ROOM:
            raise DiskFull(path, content.getbuffer().nbytes, limit=error.errno == errno.EFBIG) from error
        raise
    finally:
        partial.unlink(missing_ok=True)
    with where_offered():
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            sync(folder)
        finally:
            os.close(folder)


def sync(descriptor: int) -> None:
    """Write a file or folder to the disk, if its file system offers that."""
    with where_offered():
        os.fsync(descriptor)


@contextmanager
def where_offered() -> Iterator[None]:
    """Context of an operation that is left out where the file system does not offer it."""
    try:
        yield
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise


def is_partial(path: Path) -> bool:
    """Whether a file has the name of a partial file that `write_atomically` or a checkpoint's second name leaves."""
    return bool(re.fullmatch(r"\..+(\.\d+-[0-9a-f]+|\.pt)\.partial", path.name))


def remove_partial(folder: Path, older_than_s: float = 0.0) -> None:
    """Remove the partial files that killed writers left in a folder, except those modified less than this ago."""
    for path in filter(is_partial, folder.glob(".*.partial")):
        with suppress(FileNotFoundError):  # another process removed it
            if time.time() - path.stat().st_mtime >= older_than_s:
                path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically, without secrets."""
    write_text(path, json.dumps(redact(content), indent=2, ensure_ascii=False) + "\n")


def redact_file(path: Path) -> None:
    """Remove secrets from a text file that another library wrote."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if redact(text) != text:
        write_text(path, redact(text))


def relative(path: Path) -> Path:
    """A path as a user would type it: relative to the working directory if it lies below it."""
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        return path
    return path.relative_to(here) if path.is_relative_to(here) and path != here else path


def check_working_directory() -> None:
    """Raise ConfigError if the working directory was removed."""
    try:
        os.getcwd()
    except OSError as error:
        raise ConfigError(f"the working directory is gone ({error.strerror}); change to another one with cd") from None
