"""Where the YAML files are."""

from __future__ import annotations

from pathlib import Path

CONF = next(
    path
    for path in (Path(__file__).parent.parent / "conf", Path(__file__).parents[2] / "conf")
    if (path / "config.yaml").is_file()
)
"""Where the YAML lives: inside the package when installed from a wheel, beside it in a checkout."""
