"""The directory of the YAML files."""

from __future__ import annotations

from pathlib import Path

CONF = next(
    path
    for path in (Path(__file__).parent.parent / "conf", Path(__file__).parents[2] / "conf")
    if (path / "config.yaml").is_file()
)
"""The directory `conf/`: inside the package if it was installed from a wheel, beside it in a checkout."""
