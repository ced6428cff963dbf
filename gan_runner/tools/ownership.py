"""Whether a directory was written by this package."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path


def is_own(path: Path) -> bool:
    """Whether this package wrote a directory: the directory of a run, of several seeds, or of a sweep.

    Their `environment.json` names the package. Older sweeps and several seeds have it in the directories of runs only.
    """
    for file in (path / "environment.json", path / "0" / "environment.json"):
        with suppress(OSError, ValueError, RecursionError):
            content = json.loads(file.read_text(encoding="utf-8"))
            versions = content.get("versions") if isinstance(content, dict) else None
            if isinstance(versions, dict) and "gan-runner" in versions:
                return True
    with suppress(OSError, ValueError):
        return "gan_runner.runs." in (path / "multirun.yaml").read_text(encoding="utf-8")
    return False
