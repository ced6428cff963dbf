"""Completion of options in folders, such as `experiment=gulrajani2017/8gaussians`, which Hydra's own leaves out."""

from __future__ import annotations

import argparse
import os
import re
from itertools import pairwise
from pathlib import Path

from gan_runner.config.comments import names_of


def nested_completions(line: argparse.Namespace) -> str | None:
    """The words that may complete a command line, for its shell; None if its last word is no option in a folder.

    Args:
        line: Hydra's flags of `-sc query=SHELL`, which a shell calls with the command line in `COMP_LINE`.
    """
    shell = next((word.partition("=")[2] for word in line.overrides if word.startswith("query=")), "")
    words = os.environ.get("COMP_LINE", "").split(" ")
    last = re.fullmatch(r"(\+?([a-z_]+)=)([\w./-]*)", words[-1])
    if not (line.shell_completion and shell and last):
        return None
    typed, group, start = last.groups()
    folders = [Path(folder) for flag, folder in pairwise(words) if flag in ("--config-dir", "-cd")]
    names = names_of(group, folders)
    if not any("/" in name for name in names):
        return None
    return (" " if shell != "fish" else "\n").join(typed + name for name in completions(start, names))


def completions(start: str, names: list[str]) -> list[str]:
    """The names that begin so, or their folders if these are several."""
    found = [name for name in names if name.startswith(start)]
    depth = start.count("/") + 1
    shallow = dict.fromkeys("/".join(name.split("/")[:depth]) + "/" * (name.count("/") >= depth) for name in found)
    folders = [name for name in shallow if name.endswith("/")]
    return found if len(folders) <= 1 else list(shallow)
