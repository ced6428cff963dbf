"""A lock on a run's directory."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gan_runner.errors import ConfigError, DirectoryInUse
from gan_runner.tools.files import NOT_OFFERED

log = logging.getLogger("gan_runner")

HELD: set[BinaryIO] = set()
"""Locked files. A forked process closes them; otherwise it would hold the lock after its parent was killed."""
os.register_at_fork(after_in_child=lambda: [file.close() for file in HELD])


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Context that keeps other runs out of a directory. The kernel releases the lock however this process ends.

    Raises:
        DirectoryInUse: another run uses the directory.
        ConfigError: it is not writable.
    """
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open_locked(path)
    except BlockingIOError:
        raise DirectoryInUse(
            f"another run is using {folder}; wait until it ends, or choose another hydra.run.dir"
        ) from None
    except OSError as error:
        raise ConfigError(f"{folder} is not writable ({error.strerror}); choose another hydra.run.dir") from error
    HELD.add(file)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        HELD.remove(file)
        file.close()


def open_locked(path: Path) -> BinaryIO:
    """Open and lock a file, and check that it still exists under its name.

    Raises:
        BlockingIOError: another process holds the lock.
    """
    while True:
        file = path.open("ab")
        try:
            lock(file)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # its previous holder has just removed it


def lock(file: BinaryIO) -> None:
    """Lock an open file. If its file system offers no locks, log that.

    Raises:
        BlockingIOError: another process holds the lock.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise
        log.warning("%s offers no locks (%s); start no second run in it", Path(file.name).parent, error.strerror)
