"""Secrets stay in the environment: what a run writes, says or sends names the variable instead.

A secret is the value of an environment variable whose name says so (`WANDB_API_KEY`, `HF_TOKEN`), wherever it came
from: typed on the command line, read by an interpolation, or repeated by an error. In its place stands
`${oc.env:NAME}`, which a configuration reads back as the secret. What a URL has before its host, a user and a password,
becomes `***`.
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
"""What the names of variables that hold secrets have in them."""

SHORTEST = 8
"""Characters: shorter values, as `true` or `1`, are too common to be looked for."""

LOGIN = re.compile(r"(?<=://)(?!(?:[^\s/'\":@]*:)?\$\{oc\.env:\w+\}@)[^\s/'\"]+(?=@)")
"""A user and a password, or a token in place of both, before the host of a URL; unless it is a variable's name."""


def redact(content: Any) -> Any:
    """A text, or dictionaries and lists of texts, without secrets."""
    found = secrets()

    def without(value: Any) -> Any:
        if isinstance(value, str):
            return LOGIN.sub("***", name_secrets(value, found))
        if isinstance(value, dict):
            return {without(key): without(each) for key, each in value.items()}
        return [without(each) for each in value] if isinstance(value, list) else value

    return without(content)


def name_secrets(text: str, found: Sequence[tuple[str, str]] | None = None) -> str:
    """A text with the names of environment variables in place of the secrets in them.

    Args:
        text: with or without secrets.
        found: what `secrets()` returns, where it was called before.
    """
    for secret, name in secrets() if found is None else found:
        text = text.replace(secret, f"${{oc.env:{name}}}")
    return text


def secrets() -> list[tuple[str, str]]:
    """Each secret of the environment, as it is and as JSON, Python and URLs write it, with its name; the longest first.

    The path of a file is none: it says where a secret lies.
    """
    found = {
        written: name
        for name, value in os.environ.items()
        if NAMED_SECRET.search(name) and len(value) >= SHORTEST and not os.path.exists(value)
        for written in (value, json.dumps(value)[1:-1], repr(value)[1:-1], quote(value, safe=""))
    }
    return sorted(found.items(), key=lambda item: -len(item[0]))


def redact_record(record: logging.LogRecord) -> bool:
    """A logger's filter that passes everything, without secrets."""
    record.msg, record.args = redact(record.getMessage()), None
    if record.exc_info:
        record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
    if record.stack_info:
        record.stack_info = redact(record.stack_info)
    return True
