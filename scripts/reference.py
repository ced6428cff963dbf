"""Write what is generated from the parts that there are; a test fails where it is old.

    python scripts/reference.py

- `conf/README.md`: every option, with the first sentence of its file.
- `tests/refused.json`: which options refuse each other. Those that are new are tried with all others.
- `tests/traces.json`: three seeded steps of every method that is new.

What is recorded already is left as it is.
"""

import itertools
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CONF = ROOT / "conf"
ORDER = (
    *("model", "loss", "regularizer", "dataset", "game", "method", "play", "optimizer", "scheduler", "dynamics"),
    *("likelihood", "prior", "encoder", "observation", "metric", "extractor", "observer"),
)
"""Groups as people meet them."""
INTRODUCTION = """# Options

Written by `python scripts/reference.py` from the first sentence of each file; do not edit it. `gan-run GROUP=NAME`
chooses an option, `gan-run 'GROUP=[NAME,NAME]'` several regularizers, metrics or likelihoods, and
`gan-run GROUP=NAME --cfg job` shows what it sets. An experiment is a whole configuration, filed under its paper.
"""


def first_sentence(path):
    """What the comment on top of a YAML file says first."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = itertools.takewhile(lambda line: line.startswith("#"), lines)
    text = " ".join(line.lstrip("# ") for line in comment if "@package" not in line)
    for end in re.finditer(r"\.(?= [^a-z0-9])", text):  # not within brackets, nor in `et al. 2016`
        if text.count("(", 0, end.start()) == text.count(")", 0, end.start()):
            return text[: end.end()]
    return text


def page():
    """The text of conf/README.md."""
    parts = [INTRODUCTION]
    for group in ORDER:
        paths = sorted((CONF / group).glob("*.yaml"))
        parts.append(f"## {group}\n\n" + "\n".join(f"- `{path.stem}`: {first_sentence(path)}" for path in paths) + "\n")
    folders = sorted(path for path in (CONF / "experiment").iterdir() if path.is_dir())
    named = [(folder.name, [f"`{path.stem}`" for path in sorted(folder.glob("*.yaml"))]) for folder in folders]
    parts.append(
        "## experiment\n\n" + "\n".join(f"- `{folder}/`: {', '.join(names)}" for folder, names in named) + "\n"
    )
    return "\n".join(parts)


def record_refusals():
    """Try what is new with everything else; returns its names by group."""
    from combinations import Recorder, Refusals, overrides
    from conftest import names_in, system_of

    from gan_runner.errors import ConfigError

    def builds(*combination):
        try:
            system_of(*overrides(*combination))
        except ConfigError:
            return False
        return True

    def usual_first(group, usual):
        return sorted(names_in(group), key=lambda name: (name != usual, name))

    known = Refusals.load()
    losses, models = usual_first("loss", "non_saturating"), usual_first("model", "mlp")
    new = Recorder(builds, losses, names_in("regularizer"), models, known).record()
    known.save()
    return new


def main():
    (CONF / "README.md").write_text(page(), encoding="utf-8")
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    for group, names in record_refusals().items():
        print(f"tried {group}={', '.join(names)} with all others" if names else f"no new {group}")
    from conftest import same_conditions, system_of
    from test_traces import METHODS, record  # which look at what was just recorded

    same_conditions()
    print("traces of", ", ".join(record(system_of, METHODS)) or "no new method")


if __name__ == "__main__":
    main()
