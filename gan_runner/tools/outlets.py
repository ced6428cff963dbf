"""Standard output and error whose reader may go away: `gan-run … | head -1`, or a terminal that is closed."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

GONE = (errno.EPIPE, errno.EIO, errno.EBADF)
"""What is raised where the reader has gone, and not where a disk is full or a pipe."""


class Outlet:
    """A stream that says nothing more once nobody reads it, where another would raise in whoever writes.

    Args:
        stream: a file with a descriptor, else it is as it was.
    """

    def __init__(self, stream: Any):
        self.stream = stream

    def write(self, text: str) -> int:
        """Say it, if somebody listens; the number of characters."""
        try:
            self.stream.write(text)
        except OSError as error:
            self.lose(error)
        return len(text)

    def flush(self) -> None:
        """Say what was kept back, if somebody listens."""
        try:
            self.stream.flush()
        except OSError as error:
            self.lose(error)

    def lose(self, error: OSError) -> None:
        """Do without what could not be said; where nobody reads, all else goes nowhere, too."""
        if error.errno in GONE:
            with open(os.devnull, "wb") as nothing:
                os.dup2(nothing.fileno(), self.stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def outlets() -> Iterator[None]:
    """Whatever a command does: that nobody reads what it says does not end it. Also a decorator."""
    said, complained = (Outlet(stream) if stream else None for stream in (sys.stdout, sys.stderr))  # None: it is closed
    with redirect_stdout(said), redirect_stderr(complained):
        try:
            yield
        finally:
            for outlet in filter(None, (said, complained)):
                outlet.flush()
