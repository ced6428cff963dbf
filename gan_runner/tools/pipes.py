"""Standard output and error that survive a closed pipe (`gan-run … | head -1`), a closed terminal, or plain ASCII."""

from __future__ import annotations

import errno
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

CLOSED = (errno.EPIPE, errno.EIO, errno.EBADF)
"""The errors raised when the reader of a stream has closed it, unlike those of a full disk."""


PLAIN = str.maketrans(
    {"±": "+-", "×": "x", "·": "*", "−": "-", "–": "-", "→": "->", "↑": "^", "↓": "v", "∇": "grad ", "σ": "sigma"}
)
"""What some characters become where a stream cannot write them."""


class PipeSafeStream:
    """A stream that discards text once its reader has closed it, and replaces characters that it cannot write.

    Args:
        stream: a file with a descriptor. All other attributes are those of this stream.
    """

    def __init__(self, stream: Any):
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text; return its number of characters, even if it was discarded."""
        try:
            self.stream.write(self.in_its_characters(text))
        except OSError as error:
            self.discard(error)
        return len(text)

    def in_its_characters(self, text: str) -> str:
        """The text without characters that the stream cannot write: `±` becomes `+-`, others `?`."""
        encoding = self.stream.encoding or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            plain = unicodedata.normalize("NFKD", text.translate(PLAIN))
            return plain.encode(encoding, "replace").decode(encoding)
        return text

    def flush(self) -> None:
        """Write buffered text."""
        try:
            self.stream.flush()
        except OSError as error:
            self.discard(error)

    def discard(self, error: OSError) -> None:
        """After an error, discard buffered text; if the reader is gone, discard all later text too."""
        if error.errno in CLOSED:
            with open(os.devnull, "wb") as null:
                os.dup2(null.fileno(), self.stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def pipe_safe_output() -> Iterator[None]:
    """Context, or decorator, in which a closed standard output or error does not end the command."""
    out, err = (PipeSafeStream(stream) if stream else None for stream in (sys.stdout, sys.stderr))  # None: closed
    with redirect_stdout(out), redirect_stderr(err):
        try:
            yield
        finally:
            for stream in filter(None, (out, err)):
                stream.flush()
