"""Redact secrets in everything that a run writes, prints or sends.

A secret is the value of an environment variable with a name such as `WANDB_API_KEY` or `HF_TOKEN`, wherever it
appears: typed on the command line, read by an interpolation, or repeated in an error. It is replaced by
`${oc.env:NAME}`, which a configuration reads back as the secret. User and password in a URL are replaced by `***`.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

NAMED_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW(OR)?D|CREDENTIAL", re.IGNORECASE)
"""Matches the names of environment variables that hold secrets."""

SHORTEST = 8
"""The minimal length of a secret. Shorter values, such as `true` or `1`, are too common to be replaced."""

LOGIN = re.compile(r"(?<=://)(?!(?:[^\s/'\":@]*:)?\$\{oc\.env:\w+\}@)[^\s/'\"]+(?=@)")
"""Matches user and password, or a token, before the host of a URL, unless they are references to variables."""


def redact(content: Any) -> Any:
    """A copy of a text, or of nested dictionaries and lists, without secrets."""
    found = secrets()

    def without(value: Any) -> Any:
        if isinstance(value, str):
            return LOGIN.sub("***", name_secrets(value, found))
        if isinstance(value, dict):
            return {without(key): without(each) for key, each in value.items()}
        return [without(each) for each in value] if isinstance(value, list) else value

    return without(content)


def name_secrets(text: str, found: Sequence[tuple[str, str]] | None = None) -> str:
    """A text in which each secret is replaced by a reference to its environment variable.

    Args:
        text: any text.
        found: the result of `secrets()`, if it is known.
    """
    for secret, name in secrets() if found is None else found:
        text = text.replace(secret, f"${{oc.env:{name}}}")
    return text


def secrets() -> list[tuple[str, str]]:
    """All secrets of the environment with their names, longest first, also as written in JSON, Python and URLs.

    The path of an existing file is no secret.
    """
    found = {
        written: name
        for name, value in os.environ.items()
        if NAMED_SECRET.search(name) and len(value) >= SHORTEST and not os.path.exists(value)
        for written in (value, json.dumps(value)[1:-1], repr(value)[1:-1], quote(value, safe=""))
    }
    return sorted(found.items(), key=lambda item: -len(item[0]))


def redact_record(record: logging.LogRecord) -> bool:
    """A filter for loggers that redacts every record and drops none."""
    record.msg, record.args = redact(record.getMessage()), None
    if record.exc_info:
        record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
    if record.stack_info:
        record.stack_info = redact(record.stack_info)
    return True
