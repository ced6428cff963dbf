"""What takes long says what it is and how far: a line after two seconds, then one every ten."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

Batch = TypeVar("Batch", bound=Sized)

log = logging.getLogger("gan_runner")

FIRST_AFTER_S, THEN_EVERY_S = 2.0, 10.0
"""Seconds before the first line, and between two lines."""


class Activity:
    """Something that may take long, as a context. Of activities inside each other, only the innermost reports.

    Args:
        what: what is done, such as `training the classifier`.
        total: of how many parts it consists, if that is known.
        parts: what these are, such as `steps`.

    Attributes:
        done: how many parts are done; to be increased by the loop over them.
    """

    running: list[Activity] = []  # noqa: RUF012
    """The activities that have begun and not ended, the innermost last."""

    silent = False
    """Whether this process says nothing, because another one of the same run does."""

    def __init__(self, what: str, total: int | None = None, parts: str = ""):
        self.what, self.total, self.parts, self.done = what, total, parts, 0
        self.ended = threading.Event()

    def __enter__(self) -> Activity:
        return self.begin()

    def __exit__(self, *exception: object) -> None:
        self.end()

    def begin(self) -> Activity:
        """Begin; the reports come from a thread, so that one long call is reported, too."""
        self.began = time.monotonic()
        self.running.append(self)
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def end(self) -> None:
        """End, once."""
        if not self.ended.is_set():
            self.ended.set()
            self.running.remove(self)

    @classmethod
    def end_all(cls) -> None:
        """End all activities of this process."""
        for activity in [*cls.running]:
            activity.end()

    def count(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield batches, and count their elements as done once the next one is asked for."""
        for batch in batches:
            yield batch
            self.done += len(batch)

    def line(self) -> str:
        """What is done, how far it is, and since when."""
        progress = f": {self.done:,} of {self.total:,} {self.parts}" if self.total else ""
        return f"{self.what}{progress} ({time.monotonic() - self.began:.0f} s)"

    def _watch(self) -> None:
        delay = FIRST_AFTER_S
        while not self.ended.wait(delay):
            delay = THEN_EVERY_S
            if self.running[-1:] == [self] and not self.silent:
                say(self.line())


def say(line: str) -> None:
    """Log a line where the log is shown or kept, else print it on standard error."""
    if log.handlers and log.isEnabledFor(logging.INFO):
        log.info("%s", line)
    else:
        print(line, file=sys.stderr, flush=True)
