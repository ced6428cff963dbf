"""A lock on a run's directory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gan_runner.errors import ConfigError, DirectoryInUse

HELD: set[BinaryIO] = set()
"""Locked files. A forked process closes them, or it would hold the lock after its parent was killed."""
os.register_at_fork(after_in_child=lambda: [file.close() for file in HELD])


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep all other runs out of a directory meanwhile. However this process ends, the kernel releases the lock.

    Raises:
        DirectoryInUse: another run is in it.
        ConfigError: nothing can be written there.
    """
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = opened_alone(path)
    except BlockingIOError:
        raise DirectoryInUse(f"another run is in {folder}; wait for it, or choose another hydra.run.dir") from None
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}); choose another hydra.run.dir") from error
    HELD.add(file)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        HELD.remove(file)
        file.close()


def opened_alone(path: Path) -> BinaryIO:
    """Open and lock a file, which then still has its name.

    Raises:
        BlockingIOError: another process holds it.
    """
    while True:
        file = path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # whoever held it has just taken it away
