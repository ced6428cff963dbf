"""`gan-run --help`: all groups, one group, one option or one knob, as the comments in `conf/` describe them."""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gan_runner.config.comments import (
    GROUPS,
    Knob,
    Option,
    group_and_name,
    groups,
    names_of,
    option,
    options,
    own_knobs,
    root_knobs,
    shared_knobs,
)
from gan_runner.config.lookup import Owned, knobs_below, suggested_knob, suggested_option, typed
from gan_runner.errors import ConfigError

WIDEST = 120
"""Columns, at most."""

EXAMPLES = {
    "gan-run": "train the default GAN on handwritten digits",
    "gan-run model=resnet loss=hinge dataset=cifar10": "choose options",
    "gan-run 'regularizer=[r1,ema]' regularizer.r1.weight=1": "choose several regularizers, set a knob",
    "gan-run dataset=image_folder dataset.root=photos": "your own images",
    "gan-run dataset=mnist game=conditional": "condition on labels",
    "gan-run experiment=gulrajani2017/8gaussians": "the experiment of a paper",
    "gan-run -m loss=wgan_gp,hinge seed=0,1,2": "a sweep of six runs",
    "gan-run resume=outputs/DATE/TIME": "continue a run",
    "gan-run --cfg job --resolve": "print the configuration, train nothing",
    'eval "$(gan-run -sc install=bash)"': "complete options by the tab key",
}

FOOTER = """\
gan-sample RUN_DIR draws samples of a trained run, gan-eval RUN_DIR measures it, gan-compare RUN_DIR… puts runs on one
page. Hydra's flags, for sweeps, clusters and folders of your own options: gan-run --hydra-help
"""


def help_text(line: argparse.Namespace) -> str:
    """The answer to a command line with `--help`: about its words, or about everything if it has none.

    Args:
        line: Hydra's flags, and the words beside them: GROUP, GROUP=NAME, KEY, KEY=VALUE or NAME.

    Raises:
        ConfigError: a word is none of these.
    """
    page = Page(min(shutil.get_terminal_size().columns, WIDEST), [Path(line.config_dir)] if line.config_dir else [])
    parts = [page.about(word) for word in line.overrides] or [page.overview()]
    return "\n".join("\n".join(lines).strip("\n") + "\n" for lines in parts).rstrip("\n")


class Page:
    """Help in so many columns.

    Args:
        width: columns.
        folders: with more options, those of `--config-dir`.
    """

    def __init__(self, width: int, folders: Sequence[Path] = ()):
        self.width, self.folders = width, folders

    def overview(self) -> Iterator[str]:
        """Usage, examples, groups with their options, and the knobs of every run."""
        yield from self.wrapped("gan-run trains a generative adversarial network from options that you choose:")
        yield "\n  gan-run [GROUP=NAME]… ['GROUP=[NAME,NAME]']… [KEY=VALUE]…\n"
        yield "Examples:"
        yield from self.rows(EXAMPLES)
        yield ""
        yield from self.wrapped("Groups; gan-run --help GROUP describes a group's options and their knobs:")
        for group in groups().values():
            default = f" (default: {group.default})" if group.default else ""
            yield from self.row(group.name, group.description + default, 11)
            yield from self.row("", ", ".join(self.short_names(group.name)), 11)
        yield "\nKnobs of every run:"
        yield from self.knobs(root_knobs())
        yield ""
        yield from self.wrapped(FOOTER)

    def about(self, word: str) -> Iterator[str]:
        """A group, options, or knobs."""
        key, _, value = word.lstrip("+~").partition("=")
        group = key.partition("@")[0]
        if group in GROUPS:
            names = [name for name in re.split(r"[\[\],\s]+", value) if name not in ("", "null")]
            pages = [self.option(group, name) for name in names] or [self.group(group)]
            return (line for lines in pages for line in [*lines, ""])
        if knobs := knobs_below(key):
            return self.owned(knobs)
        first, name = group_and_name(key)
        if first in GROUPS:  # such as loss/wgan_gp
            return self.option(first, name)
        if found := [group for group in GROUPS if key in names_of(group, self.folders)]:
            return (line for group in found for line in [*self.option(group, key), ""])
        family, _, name = key.rpartition(".")
        words = {*GROUPS, *(knob.key.partition(".")[0] for knob in root_knobs())}
        raise ConfigError(f"there is no group or knob {key}{suggested_knob(name, () if family else words, family)}")

    def group(self, name: str) -> Iterator[str]:
        """The options of a group, with their knobs."""
        group = groups()[name]
        chosen = options(name, self.folders)
        shared = shared_knobs(chosen)
        default = f" Default: {group.default}." if group.default else ""
        yield from self.wrapped(f"{group.typed}=NAME  {group.description}.{default}")
        if shared:
            yield "\nKnobs that several of them have:"
            yield from self.knobs(shared)
        for one in chosen:
            own, _ = own_knobs(one, shared)
            yield ""
            yield from self.wrapped(f"{one.name}  {one.description}", hanging="    ")
            yield from self.knobs(own, indent="    ")
        if any(one.builds_on for one in chosen) and name != "experiment":
            yield ""
            yield from self.wrapped(f"gan-run {group.typed}=NAME --help also shows the knobs that NAME includes.")

    def option(self, group: str, name: str) -> Iterator[str]:
        """An option, with its own knobs and those of the options that it builds on."""
        names = names_of(group, self.folders)
        if name not in names:
            raise ConfigError(f"there is no {group}={name}{suggested_option(group, name, names, self.folders)}")
        one = option(group, name, self.folders)
        yield f"{groups()[group].typed}={name}\n"
        yield from self.wrapped(f"{one.description} {one.details}".strip())
        if one.chooses:
            yield from self.wrapped(f"It chooses {' '.join(one.chooses)}")
        if one.knobs:
            yield "\nKnobs:"
            yield from self.knobs(one.knobs)
        if group == "experiment":
            yield f"\ngan-run experiment={name} --cfg job prints the configuration."
        seen = {knob.key for knob in one.knobs}
        for base in self.bases(one):
            more = [knob for knob in base.knobs if knob.key not in seen]
            seen |= {knob.key for knob in more}
            if more:
                yield f"\nKnobs of {base.group}={base.name}, which it includes:"
                yield from self.knobs(more)

    def bases(self, one: Option) -> Iterator[Option]:
        """The options that an option builds on, and those that these build on."""
        for group, name in one.builds_on:
            base = option(group, name, self.folders)
            yield base
            yield from self.bases(base)

    def short_names(self, group: str) -> list[str]:
        """The names of a group's options; of those in folders, the folder."""
        names = names_of(group, self.folders)
        return list(dict.fromkeys(f"{name.partition('/')[0]}/…" if "/" in name else name for name in names))

    def knobs(self, knobs: Sequence[Knob], indent: str = "  ") -> Iterator[str]:
        """Knobs with their defaults, as they are typed, each with its description."""
        return self.rows({labelled(knob): described(knob) for knob in knobs}, indent)

    def owned(self, knobs: Sequence[Owned]) -> Iterator[str]:
        """Knobs with the options that have them."""
        texts: dict[str, str] = {}
        for one in knobs:
            owners = f" ({typed(one.owners)})" if one.owners else ""
            label, text = labelled(one.knob), described(one.knob) + owners
            texts[label] = f"{texts[label]}; {text}" if label in texts else text
        return self.rows(texts)

    def rows(self, rows: Mapping[str, str], indent: str = "  ") -> Iterator[str]:
        """Labels with a text each, in two columns."""
        longest = max((len(label) for label in rows if len(label) <= self.width // 2), default=0)
        for label, text in rows.items():
            yield from self.row(label, text, longest, indent)

    def row(self, label: str, text: str, column: int, indent: str = "  ") -> Iterator[str]:
        """A label and a text beside it, or below it if the label is longer than its column."""
        margin = indent + " " * (column + 2)
        lines = textwrap.wrap(text, self.width - len(margin), break_long_words=False, break_on_hyphens=False) or [""]
        if len(label) <= column:
            yield f"{indent}{label:{column}}  {lines.pop(0)}".rstrip()
        else:
            yield indent + label
        yield from (margin + line for line in lines)

    def wrapped(self, text: str, hanging: str = "") -> list[str]:
        """A paragraph, with its later lines indented."""
        return textwrap.wrap(
            text, self.width, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
        )


def labelled(knob: Knob) -> str:
    """A knob as it is typed, with its default if that can be typed."""
    return f"{knob.key}={knob.default}" if knob.literal else knob.key


def described(knob: Knob) -> str:
    """A knob's description, with its default where that is read from elsewhere."""
    return knob.description if knob.literal else f"{knob.description} (default: {knob.default})"
