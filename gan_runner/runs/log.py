"""The log of a run."""

from __future__ import annotations

import logging
import sys

from gan_runner.runs.directory import RunDirectory
from gan_runner.tools.secrets import redact_record

log = logging.getLogger("gan_runner")


class BufferedLog(logging.Handler):
    """The log of a run before its file is open: printed on standard error, and kept until `LogFile` writes it."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[logging.LogRecord] = []

    def __enter__(self) -> BufferedLog:
        log.setLevel(logging.DEBUG)
        log.propagate = False
        log.addFilter(redact_record)
        log.addHandler(self)
        return self

    def emit(self, record: logging.LogRecord) -> None:
        """Print and store a record."""
        self.records.append(record)
        print(record.getMessage(), file=sys.stderr)

    def __exit__(self, *exception: object) -> None:
        log.removeHandler(self)


class LogFile:
    """Context in which everything that the package logs goes to `run.log`, with tracebacks, without secrets.

    Args:
        directory: the run's directory.
        buffered: the log so far, which is written first. It is switched off while the log is open.
    """

    def __init__(self, directory: RunDirectory, buffered: BufferedLog | None = None):
        self.handler = logging.FileHandler(directory.log, encoding="utf-8")
        self.handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        self.buffered = buffered

    def __enter__(self) -> None:
        log.setLevel(logging.DEBUG)
        log.propagate = False
        log.addFilter(redact_record)
        log.addHandler(self.handler)
        if self.buffered is not None:
            log.removeHandler(self.buffered)
            for record in self.buffered.records:
                self.handler.handle(record)
            self.buffered.records.clear()

    def __exit__(self, *exception: object) -> None:
        log.removeHandler(self.handler)
        self.handler.close()
        if self.buffered is not None:
            log.addHandler(self.buffered)
