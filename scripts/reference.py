"""Write what is generated from the parts that there are; a test fails where it is old.

    python scripts/reference.py

- `tests/refused.json`: which options refuse each other. Those that are new are tried with all others.
- `tests/traces.json`: three seeded steps of every method that is new.

What is recorded already is left as it is.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from combinations import Recorder, Refusals, overrides  # noqa: E402
from conftest import names_in, same_conditions, system_of  # noqa: E402

from gan_runner.errors import ConfigError  # noqa: E402


def usual_first(names, usual):
    return sorted(names, key=lambda name: (name != usual, name))


def record_refusals():
    """Try what is new with everything else; returns its names by group."""

    def builds(*combination):
        try:
            system_of(*overrides(*combination))
        except ConfigError:
            return False
        return True

    known = Refusals.load()
    losses, models = usual_first(names_in("loss"), "non_saturating"), usual_first(names_in("model"), "mlp")
    new = Recorder(builds, losses, names_in("regularizer"), models, known).record()
    known.save()
    return new


def main():
    same_conditions()
    new = record_refusals()
    for group, names in new.items():
        print(f"tried {group}={', '.join(names)} with all others" if names else f"no new {group}")
    from test_traces import METHODS, record  # which look at what was just recorded

    print("traces of", ", ".join(record(system_of, METHODS)) or "no new method")


if __name__ == "__main__":
    main()
