"""The options and knobs of `conf/` with the comments that describe them, for `gan-run --help` and `conf/README.md`.

The comment at the top of a file describes the option. The comment behind a value describes the knob. The comment behind
an entry of a defaults list describes the group. A value without a comment is no knob: it connects parts.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from gan_runner.config.paths import CONF
from gan_runner.config.suggestions import did_you_mean
from gan_runner.errors import ConfigError

GROUPS = (
    *("dataset", "model", "loss", "regularizer", "game", "method", "likelihood", "prior", "encoder", "observation"),
    *("optimizer", "scheduler", "play", "dynamics", "metric", "extractor", "observer", "experiment"),
)
"""The groups that a user chooses from, in the order in which a reader meets them."""

CHOICES = ("config.yaml", "game/autoencoding.yaml")
"""The files whose defaults lists describe the groups."""

DIRECTIVES = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")
"""Keys that say how a part is built."""

LONGEST = 40
"""Characters of a default; a longer one is cut."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The parser in C where PyYAML has it."""


@dataclass(frozen=True)
class Knob:
    """A value that a user may set.

    Attributes:
        key: as typed.
        default: as text; of a value that is read from another key, that key.
        literal: whether the default can be typed as it stands.
        description: the comment; empty if there is none.
    """

    key: str
    default: str
    literal: bool
    description: str


@dataclass(frozen=True)
class Entry:
    """An entry of a defaults list: a choice of options of a group, placed at a package, with its comment."""

    group: str
    package: str
    names: tuple[str, ...]
    overrides: bool
    description: str
    is_list: bool = False

    @property
    def typed_group(self) -> str:
        """The group as typed on the command line."""
        return self.group if self.package in ("", "_global_", "_here_") else f"{self.group}@{self.package}"

    @property
    def typed(self) -> str:
        """The choice as typed on the command line."""
        names = self.names[0] if len(self.names) == 1 else f"[{','.join(self.names)}]"
        return f"{self.typed_group}={names}"


@dataclass(frozen=True)
class Group:
    """A group: its name as typed, its default options, a line that describes it, and whether several may be chosen."""

    name: str
    typed: str
    default: str
    description: str
    is_list: bool


@dataclass(frozen=True)
class Option:
    """An option: the first sentence and the rest of its comment, and its knobs.

    Attributes:
        builds_on: the options that its file includes, as pairs (group, name).
        chooses: what it chooses in other groups, as typed.
    """

    group: str
    name: str
    description: str
    details: str
    knobs: tuple[Knob, ...]
    builds_on: tuple[tuple[str, str], ...]
    chooses: tuple[str, ...]


class Document:
    """A YAML file of `conf/`, read for its comments.

    Args:
        path: of the file.
        group: the folder that it lies in, as typed; empty for `config.yaml`.
        package: the key at which its content stands; None: that of the group.

    Raises:
        ConfigError: the file is not valid YAML.
    """

    def __init__(self, path: Path, group: str = "", package: str | None = None):
        self.group = group
        self.text = path.read_text(encoding="utf-8")
        self.lines = self.text.splitlines()
        try:
            root = yaml.compose(self.text, Loader=LOADER)
        except yaml.YAMLError as error:
            raise ConfigError(f"{path} is not valid YAML ({' '.join(str(error).split())}); correct it") from error
        self.root: list[tuple[Any, Any]] = root.value if isinstance(root, yaml.MappingNode) else []
        self.is_global = not group or self.text.startswith("# @package _global_")
        self.prefix = "" if self.is_global else package or group

    @cached_property
    def comment(self) -> tuple[str, str]:
        """The first sentence of the comment at the top, and the rest of it."""
        lines = takewhile(lambda line: line.startswith("#"), self.lines)
        text = " ".join(line.lstrip("# ") for line in lines if "@package" not in line)
        for end in re.finditer(r"\.(?= [^a-z0-9])", text):  # not within brackets, nor in `et al. 2016`
            if text.count("(", 0, end.start()) == text.count(")", 0, end.start()):
                return text[: end.end()], text[end.end() :].strip()
        return text, ""

    @cached_property
    def values(self) -> list[Knob]:
        """All values of the file, those without a comment too."""
        own = [(key, value) for key, value in self.root if key.value not in ("defaults", "hydra")]
        return list(self._values(own, self.prefix))

    @property
    def knobs(self) -> list[Knob]:
        """The values that have a comment."""
        return [value for value in self.values if value.description]

    @property
    def sections(self) -> dict[str, str]:
        """The comments behind the keys that hold other keys."""
        return {key.value: self._comment(key, value) for key, value in self.root if isinstance(value, yaml.MappingNode)}

    @cached_property
    def defaults(self) -> list[Entry]:
        """The entries of the defaults list, without `_self_`."""
        found: list[Any] = next((value.value for key, value in self.root if key.value == "defaults"), [])
        return [self._entry(node) for node in found if node.value != "_self_"]

    def _values(self, entries: Sequence[tuple[Any, Any]], prefix: str) -> Iterator[Knob]:
        for key, value in entries:
            name = f"{prefix}.{key.value}".lstrip(".")
            if key.value in DIRECTIVES:
                continue
            if isinstance(value, yaml.MappingNode) and value.value:
                yield from self._values(value.value, name)
            else:
                written = self._written(value)
                yield Knob(name, shown(written), "${" not in written, self._comment(key, value))

    def _written(self, node: Any) -> str:
        """A value as written, in one line."""
        start, end = node.start_mark, node.end_mark
        lines = self.lines[start.line : end.line + 1]
        lines[-1] = lines[-1][: end.column]
        lines[0] = lines[0][start.column :]
        return re.sub(r"\s+", " ", " ".join(lines)).strip().strip("\"'").replace("[ ", "[").replace(", ]", "]")

    def _comment(self, key: Any, value: Any) -> str:
        """The comment behind a value, or behind the key of a value of several lines."""
        end = value.end_mark
        found = re.match(r"[\]},\s]*#\s*(.*)", self.lines[end.line][end.column :] if end.line < len(self.lines) else "")
        if not found and value.start_mark.line > key.start_mark.line:
            found = re.match(r":\s*#\s*(.*)", self.lines[key.end_mark.line][key.end_mark.column :])
        return found[1].strip() if found else ""

    def _entry(self, node: Any) -> Entry:
        if isinstance(node, yaml.ScalarNode):
            path, _, package = node.value.partition("@")
            group, name = group_and_name(path.strip("/") if path.startswith("/") else f"{self.group}/{path}")
            here = "_global_" if self.is_global else "_here_"
            return Entry(group, package or here, (name,), False, self._comment(node, node))
        ((key, value),) = node.value
        group, _, package = key.value.split()[-1].partition("@")
        names = value.value if isinstance(value, yaml.SequenceNode) else [value]
        if package and not self.is_global and not package.startswith("_"):
            package = f"{self.prefix}.{package}"
        chosen = tuple(name.value for name in names if name.value not in ("null", ""))
        is_list = isinstance(value, yaml.SequenceNode)
        overrides = "override" in key.value.split()
        return Entry(group.strip("/"), package, chosen, overrides, self._comment(key, value), is_list)


def shown(written: str) -> str:
    """A value for a reader: an interpolation as the key that it reads, a long value cut."""
    text = re.sub(r"\$\{oc\.env:(\w+),(\w*)\}", r"$\1 or \2", written)
    text = re.sub(r"\$\{([\w.]+)\}", r"\1", text)
    if "${" in text:
        return "computed"
    if len(text) <= LONGEST:
        return text
    return text[:LONGEST].rpartition(" ")[0] + (" …]" if text.startswith("[") else " …")


def group_and_name(path: str) -> tuple[str, str]:
    """The group of an option's path, and its name there: experiments have a folder each in their name."""
    first, _, rest = path.partition("/")
    group, _, name = path.rpartition("/")
    return (first, rest) if first in GROUPS else (group, name)


@cache
def groups() -> dict[str, Group]:
    """The groups that a user chooses from, by name."""
    entries = [entry for file in CHOICES for entry in Document(CONF / file, Path(file).parent.name).defaults]
    found = {entry.group: entry for entry in entries if entry.description}
    return {
        name: Group(name, entry.typed_group, ", ".join(entry.names), entry.description, entry.is_list)
        for name, entry in ((name, found[name]) for name in GROUPS)
    }


def root_knobs() -> list[Knob]:
    """The knobs of `config.yaml`."""
    return Document(CONF / "config.yaml").knobs


def sections() -> dict[str, str]:
    """The sections of `config.yaml` that hold knobs, each with its comment."""
    return Document(CONF / "config.yaml").sections


def names_of(group: str, folders: Sequence[Path] = ()) -> list[str]:
    """The names of a group's options, in `conf/` and in more folders."""
    places = [folder / group for folder in (CONF, *folders)]
    found = {path.relative_to(place).with_suffix("").as_posix() for place in places for path in place.rglob("*.yaml")}
    return sorted(found)


def document_of(group: str, name: str, folders: Sequence[Path] = ()) -> Document | None:
    """The file of an option, in one of more folders or in `conf/`; None if there is none."""
    paths = [folder / group / f"{name}.yaml" for folder in (*folders, CONF)]
    package = groups()[group].typed.partition("@")[2] if group in GROUPS else ""
    return next((Document(path, group, package) for path in paths if path.is_file()), None)


def option(group: str, name: str, folders: Sequence[Path] = ()) -> Option:
    """An option, with the knobs of those parts of its file that are no options themselves.

    An experiment has none: it sets other options' knobs.

    Raises:
        ConfigError: there is no such option.
    """
    document = document_of(group, name, folders)
    if document is None:
        raise ConfigError(f"there is no {group}={name}{did_you_mean(name, names_of(group, folders))}")
    builds_on: list[tuple[str, str]] = []
    chooses: list[str] = []
    parts = [document]
    for entry in document.defaults:
        if entry.group.partition("/")[0] not in GROUPS:  # a part of options, such as setting/codes
            parts += filter(None, (document_of(entry.group, part, folders) for part in entry.names))
        elif not entry.overrides and entry.package.startswith(("_global_", "_here_")):
            builds_on += [(entry.group, part) for part in entry.names]
        elif entry.names:
            chooses.append(entry.typed)
    knobs = {knob.key: knob for part in reversed(parts) for knob in part.knobs}  # those of the file itself win
    mine = [knob for part in parts for knob in part.knobs]
    ordered = tuple(knobs[key] for key in dict.fromkeys(knob.key for knob in mine)) if group != "experiment" else ()
    return Option(group, name, *document.comment, ordered, tuple(builds_on), tuple(chooses))


def options(group: str, folders: Sequence[Path] = ()) -> list[Option]:
    """All options of a group."""
    return [option(group, name, folders) for name in names_of(group, folders)]


def shared_knobs(chosen: Sequence[Option]) -> list[Knob]:
    """The knobs that a third of the options describe in the same words, with their most frequent default."""
    alike: dict[tuple[str, str], list[Knob]] = defaultdict(list)
    for knob in (knob for one in chosen for knob in one.knobs):
        alike[knob.key, knob.description].append(knob)
    shared: dict[str, Knob] = {}
    for (key, _), knobs in sorted(alike.items(), key=lambda item: -len(item[1])):
        default, count = Counter(knob.default for knob in knobs).most_common(1)[0]
        if len(knobs) >= max(3, len(chosen) / 3) and count > 1:
            shared.setdefault(key, next(knob for knob in knobs if knob.default == default))
    order = list(dict.fromkeys(key for key, _ in alike))
    return sorted(shared.values(), key=lambda knob: order.index(knob.key))


def own_knobs(one: Option, shared: Sequence[Knob]) -> tuple[list[Knob], list[Knob]]:
    """The knobs of an option that are not shared, and the shared ones that have another default here."""
    common = {(knob.key, knob.description): knob for knob in shared}
    own = [knob for knob in one.knobs if (knob.key, knob.description) not in common]
    other = [knob for knob in one.knobs if knob.default != common.get((knob.key, knob.description), knob).default]
    return own, other
