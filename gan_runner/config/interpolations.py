"""How much a configuration stands for once its interpolations are written out, told before any is."""

from __future__ import annotations

import os
import typing
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from omegaconf import Container, Node, OmegaConf
from omegaconf._utils import _get_value, split_key
from omegaconf.errors import InterpolationKeyError, InterpolationResolutionError, OmegaConfBaseException
from omegaconf.grammar_parser import parse
from omegaconf.grammar_visitor import GrammarVisitor
from omegaconf.omegaconf import _select_one

from gan_runner.errors import ConfigError

LARGEST = 5_000_000
"""Characters of text and nodes: a hundred times what the largest configuration here stands for."""


DEEPEST = 50
"""Nodes within one another."""


def check_interpolations(config: Container, name: str) -> None:
    """Refuse a configuration in which interpolations of interpolations stand for more than could be meant.

    Args:
        config: those of its interpolations that are broken are passed over; who resolves them says so.
        name: of it, for people.

    Raises:
        ConfigError: it would be too large, or nested too deeply.
    """
    try:
        Writing(name).depth(config)
    except RecursionError:
        raise ConfigError(f"{name} is nested too deeply; give some of its interpolations values") from None


class Writing:
    """What OmegaConf would do to write interpolations out, each done once, and counted as often as it is read.

    Args:
        name: of the configuration, for people.
    """

    def __init__(self, name: str):
        self.name = name
        self.written: dict[int, tuple[Node, Any, float]] = {}  # nodes are kept, so that no later one has the same id
        self.spent = 0.0

    def spend(self, size: float) -> None:
        """Count characters and nodes; raise ConfigError if it is too many."""
        self.spent += size
        if self.spent > LARGEST:
            raise ConfigError(
                f"{self.name} stands for more than {LARGEST:,} characters, by interpolations of interpolations; "
                "give some of them values"
            )

    def once(self, node: Node, write: Callable[[], Any]) -> Any:
        """What writing out a node gives; each further time that is only counted."""
        if id(node) not in self.written:
            before, itself = self.spent, f"in {self.name} interpolations lead back to themselves"
            refusal = InterpolationResolutionError if node._is_interpolation() else ConfigError
            self.written[id(node)] = node, refusal(itself), 1
            self.written[id(node)] = node, write(), self.spent - before + 1
        _, found, spent = self.written[id(node)]
        self.spend(spent)
        if isinstance(found, Exception):
            raise found
        return found

    def depth(self, found: Any) -> int:
        """How deep a value goes, when all that is below it is written out.

        Raises:
            ConfigError: it is too deep, or too much.
        """
        if isinstance(found, Container) and isinstance(found._content, dict | list):
            nodes = list(found._content.values() if isinstance(found._content, dict) else found._content)
            depth: int = self.once(found, lambda: 1 + max(map(self.depth_if_any, nodes), default=0))
            if depth > DEEPEST:
                raise ConfigError(f"{self.name} is nested too deeply, more than {DEEPEST} times")
            return depth
        self.spend(len(str(_get_value(found))))
        return 0

    def depth_if_any(self, node: Node) -> int:
        """The depth of what a node stands for; 0 if that is broken."""
        try:
            return self.depth(self.value(node))
        except (ConfigError, RecursionError):
            raise
        except Exception:  # whatever OmegaConf and its grammar find wrong
            return 0

    def value(self, node: Any) -> Any:
        """What a node stands for: itself, or what its interpolation leads to."""
        if not isinstance(node, Node) or not node._is_interpolation():
            return node
        return self.once(node, lambda: self.evaluated(parse(_get_value(node)), node))

    def evaluated(self, tree: Any, node: Node) -> Any:
        """What an interpolation leads to; counted before it is put together."""

        def read(key: str, _: Any) -> Any:
            self.depth(found := self.read(key, node))
            return found

        def resolved(name: str, args: tuple[Any, ...], args_str: tuple[str, ...]) -> Any:
            self.depth(found := self.resolved(name, args, node))
            return found

        return GrammarVisitor(read, resolved, None).visit(tree)

    def read(self, key: str, node: Node) -> Any:
        """What another node stands for, named as by `node`."""
        parent = node._get_parent_container()
        assert parent is not None
        found: Any
        found, key = parent._resolve_key_and_root(key)
        for part in split_key(key) if key else ():
            found, _ = _select_one(self.value(found), part, throw_on_missing=True, throw_on_type_error=True)
        if found is None:
            raise InterpolationKeyError(key)
        return self.value(found)

    def resolved(self, name: str, args: tuple[Any, ...], node: Node) -> Any:
        """What a resolver yields, as far as it may be large."""
        if name in ("oc.select", "oc.deprecated", "oc.dict.keys", "oc.dict.values"):
            with suppress(OmegaConfBaseException):
                return self.read(args[0], node)
            return args[1] if name == "oc.select" and args[1:] else ""
        if name == "hydra":
            return self.read(f"hydra.{args[0]}", node)
        if name == "oc.env":
            return os.environ.get(args[0], *args[1:2])
        if name == "oc.decode" and isinstance(args[0], str):
            return self.evaluated(parse(args[0], parser_rule="singleElement", lexer_mode="VALUE_MODE"), node)
        if name == "oc.create":
            if isinstance(args[0], str):
                raise ConfigError(f"{self.name}: oc.create of a text is not allowed; write what it says")
            return OmegaConf.create(args[0], parent=typing.cast(Any, node._get_parent_container()))
        return ""
