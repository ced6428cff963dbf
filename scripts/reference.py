"""Write the files that are generated from the parts that there are; a test fails where one is old.

    python scripts/reference.py

- `conf/README.md`: every option and its knobs, from the comments in `conf/`.
- `tests/refused.json`: which options refuse each other. New ones are tried with all others.
- `tests/traces.json`: three seeded steps of every new method.

What is recorded already stays as it is.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from gan_runner.config.comments import Knob, Option, groups, options, own_knobs, root_knobs, shared_knobs
from gan_runner.config.paths import CONF
from gan_runner.tools.activity import Activity

ROOT = Path(__file__).parent.parent
INTRODUCTION = """# Options

Every option and its knobs. This file is generated from the comments in `conf/` by `python scripts/reference.py`.

| type | to |
|---|---|
| `gan-run GROUP=NAME` | choose an option, such as `loss=wgan_gp` |
| `gan-run 'GROUP=[NAME,NAME]'` | choose several regularizers, metrics or likelihoods |
| `gan-run KEY=VALUE` | set a knob, such as `regularizer.gradient_penalty.weight=5` |
| `gan-run --help GROUP`, `gan-run GROUP=NAME --help` | read these descriptions in the terminal |
| `gan-run GROUP=NAME --cfg job` | see the whole configuration |
"""


def page() -> str:
    """The text of conf/README.md."""
    known = groups()
    contents = [f"- [`{group.name}`](#{group.name}): {group.description}" for group in known.values()]
    parts = [INTRODUCTION, "\n".join(contents), "\n## Every run\n", table(root_knobs())]
    for group in known.values():
        chosen = options(group.name)
        default = f"; default: `{group.default}`" if group.default else ""
        purpose = group.description[0].upper() + group.description[1:]
        parts.append(f"\n## {group.name}\n\n{purpose}. `{group.typed}=NAME`{default}.\n")
        if shared := shared_knobs(chosen):
            parts += ["Knobs that several of them have:\n", table(shared), ""]
        parts += experiments(chosen) if group.name == "experiment" else listed(chosen, shared)
    return "\n".join(parts) + "\n"


def table(knobs: Sequence[Knob]) -> str:
    """Knobs as a table."""
    rows = [f"| `{knob.key}` | `{knob.default}` | {escaped(knob.description)} |" for knob in knobs]
    return "\n".join(["| knob | default | |", "|---|---|---|", *rows])


def escaped(text: str) -> str:
    """Text in a cell of a table."""
    return text.replace("|", "\\|")


def listed(chosen: Sequence[Option], shared: Sequence[Knob]) -> Iterator[str]:
    """Options as a list, their own knobs below each."""
    for option in chosen:
        own, other = own_knobs(option, shared)
        brings = [f"{group}={name}" for group, name in option.builds_on]
        more = f" Includes {quoted(brings)}." if brings else ""
        more += f" Chooses {quoted(option.chooses)}." if option.chooses else ""
        more += f" Here {quoted(f'{knob.key}={knob.default}' for knob in other)}." if other else ""
        yield f"- **`{option.name}`**: {option.description.rstrip('.')}.{more}"
        yield from (f"  - `{knob.key}` = `{knob.default}`: {knob.description}" for knob in own)


def quoted(words: Iterator[str] | Sequence[str]) -> str:
    """Words as code, with commas between them."""
    return ", ".join(f"`{word}`" for word in words)


def experiments(chosen: Sequence[Option]) -> Iterator[str]:
    """Experiments, by their folder."""
    last = ""
    for option in chosen:
        folder, _, name = option.name.rpartition("/")
        if folder != last:
            yield f"- **`{folder}/`**"
            last = folder
        yield f"{'  ' if folder else ''}- `{name}`: {option.description.rstrip('.')}."


def record_refusals():
    """Try new options with all others; return their names by group."""
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
    with Activity("trying new options with all others"):
        tried = record_refusals()
    for group, names in tried.items():
        print(f"tried {group}={', '.join(names)} with all others" if names else f"no new {group}")
    from conftest import same_conditions, system_of
    from test_traces import METHODS, record  # which look at what was just recorded

    same_conditions()
    with Activity("recording three steps of new methods"):
        recorded = record(system_of, METHODS)
    print("traces of", ", ".join(recorded) or "no new method")


if __name__ == "__main__":
    main()
