"""Standard output and error whose reader may go away: `gan-run … | head -1`, or a terminal that is closed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any


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
        except OSError:
            self.close_off()
        return len(text)

    def flush(self) -> None:
        """Say what was kept back, if somebody listens."""
        try:
            self.stream.flush()
        except OSError:
            self.close_off()

    def close_off(self) -> None:
        """What else is written, what was kept back included, goes nowhere."""
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), self.stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def outlets() -> Iterator[None]:
    """Whatever a command does: that nobody reads what it says does not end it. Also a decorator."""
    said, complained = Outlet(sys.stdout), Outlet(sys.stderr)
    with redirect_stdout(said), redirect_stderr(complained):
        try:
            yield
        finally:
            said.flush()
            complained.flush()
