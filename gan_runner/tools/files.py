"""Files that are never half-written."""

from __future__ import annotations

import errno
import io
import json
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from gan_runner.errors import DiskFull
from gan_runner.tools.secrets import redact

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that it is there whole, or as it was before, whatever happens meanwhile.

    Raises:
        DiskFull: there is no room for it.
    """
    content = io.BytesIO()
    write(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")  # of this writer alone
    try:
        with partial.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)  # and so free what it took
        if error.errno in NO_ROOM:
            raise DiskFull(path, content.getbuffer().nbytes) from error
        raise
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def remove_partial(folder: Path, older_than_s: float = 0.0) -> None:
    """Remove what writers left in a folder that were killed; none that began later than so long ago may be at work."""
    for path in folder.glob(".*.partial"):
        with suppress(FileNotFoundError):  # another process was faster
            if time.time() - path.stat().st_mtime >= older_than_s:
                path.unlink()


def write_text(path: Path, text: str) -> None:
    """A text file, atomically, in UTF-8."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: Path, content: Any) -> None:
    """A JSON file, atomically, without secrets."""
    write_text(path, json.dumps(redact(content), indent=2, ensure_ascii=False) + "\n")


def redact_file(path: Path) -> None:
    """Take secrets out of a file of someone else's."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if redact(text) != text:
        write_text(path, redact(text))
