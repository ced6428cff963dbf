"""Constructor calls in a configuration: check what may be called and with which options, then call it."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from functools import cache, partial
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, ListConfig, OmegaConf

from gan_runner.config.paths import CONF
from gan_runner.config.suggestions import did_you_mean
from gan_runner.config.validation import conform, source_of
from gan_runner.errors import ConfigError

PACKAGES = (
    "losses",
    "terms",
    "constraints",
    "games",
    "models",
    "datasets",
    "metrics",
    "observers",
    "optimizers",
    "extractors",
    "step",
)

TRUSTED = (*(f"gan_runner.{package}." for package in PACKAGES), "torch.optim.", "torchvision.datasets.")
"""Allowed prefixes of a `_target_`. A user adds more by `trusted=[my_package]`."""

KINDS = {
    "torch.optim.": ("Optimizer", "LRScheduler"),
    "torchvision.datasets.": ("VisionDataset",),
}
"""Required base classes in other packages, whose helper functions may write files."""

DIRECTIVES = frozenset({"_target_", "_partial_", "_recursive_", "_convert_"})


def constructor_calls(node: Any, key: str = "") -> Iterator[tuple[str, DictConfig]]:
    """Every node with a `_target_`, with its key; outer nodes before those inside them."""
    if isinstance(node, DictConfig):
        if is_call(node):
            yield key, node
        for name in node:
            yield from constructor_calls(node[name], f"{key}.{name!s}".lstrip("."))
    elif isinstance(node, ListConfig):
        for index, item in enumerate(node):
            yield from constructor_calls(item, f"{key}[{index}]")


def locate(target: Any, trusted: Iterable[str], key: str = "_target_") -> Callable[..., Any]:
    """The class or function that a trusted `_target_` names.

    The module that defines the object must be trusted too, so that a name cannot reach what a trusted module imports.

    Raises:
        ConfigError: it is not trusted, or does not exist.
    """
    prefixes = (*TRUSTED, *(f"{prefix.rstrip('.')}." for prefix in trusted))
    if not isinstance(target, str) or not f"{target}.".startswith(prefixes):
        raise ConfigError(
            f"{key}._target_={target} is outside the allow-list of code that may run; if you trust its package, add "
            f"'trusted=[{str(target).partition('.')[0]}]'"
        )
    path, _, name = target.rpartition(".")
    try:
        module = importlib.import_module(path)
    except ImportError as error:
        raise ConfigError(
            f"{key}._target_={target} cannot be imported ({error}); correct the name, or install the package"
        ) from error
    found = getattr(module, name, None)
    if found is None or not callable(found):
        names = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        raise ConfigError(f"{key}._target_={target} does not exist: {path} has no {name}{did_you_mean(name, names)}")
    place = str(getattr(found, "__module__", "?"))
    if not f"{place}.".startswith(prefixes):
        raise ConfigError(
            f"{key}._target_={target} is defined in {place}, outside the allow-list of code that may run; if you trust "
            f"that package, add 'trusted=[{place.partition('.')[0]}]'"
        )
    kinds = next((kinds for prefix, kinds in KINDS.items() if target.startswith(prefix)), ())
    if kinds and not {base.__name__ for base in getattr(found, "__mro__", ())} & set(kinds):
        raise ConfigError(
            f"{key}._target_={target} is outside the allow-list of code that may run: it is not a "
            f"{' or '.join(kinds)}; choose one"
        )
    return found


def check_call(key: str, node: DictConfig, config: DictConfig) -> None:
    """Check a constructor call's options against the signature of its target, and convert them to its types.

    Raises:
        ConfigError: the target does not take an option, or a value has the wrong type.
    """
    target = locate(node["_target_"], config.get("trusted", []), key)
    parameters = inspect.signature(target).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    hints = type_hints(target)
    for name in [str(name) for name in node if name not in DIRECTIVES]:
        option = f"{key}.{name}"
        if name not in parameters:
            source = source_of(config, option)
            origin = f"{source} sets {option}, but" if source != option else f"{option} is not possible:"
            raise ConfigError(f"{origin} {target.__name__} takes no such option{advice(key, name, source, parameters)}")
        value = node[name]
        if name in hints and not any(True for _ in constructor_calls(value)):
            node[name] = conform(option, value, hints[name], config)


@cache
def type_hints(target: Any) -> dict[str, Any]:
    """The types of a callable's parameters; empty if they cannot be resolved."""
    # The types of a dataclass's inherited fields can only be resolved in the module of their own class.
    constructor = inspect.isclass(target) and not is_dataclass(target)
    try:
        return typing.get_type_hints(target.__init__ if constructor else inspect.unwrap(target), include_extras=True)
    except NameError:  # a type that is imported only under TYPE_CHECKING
        return {}


def advice(key: str, name: str, source: str, parameters: Mapping[str, Any]) -> str:
    """Advice for an option that a part does not take.

    If the user typed it, suggest the nearest option. If a regularizer set it, name the options of the part's group
    that take it.
    """
    regularizer = source.split(".")[1] if source.startswith("regularizer.") else None
    if regularizer is None:
        return did_you_mean(name, [p for p in parameters if p != "self"])
    able = []
    for path in sorted((CONF / key).glob("*.yaml")):
        option = OmegaConf.load(path)
        part = OmegaConf.select(option, f"{key}._target_") or OmegaConf.select(option, "_target_")
        if part and name in inspect.signature(locate(part, [])).parameters:
            able.append(path.stem)
    return f"; leave out regularizer={regularizer}" + (f" or choose {key}={' | '.join(able)}" if able else "")


def is_call(node: Any) -> bool:
    """Whether a node is a constructor call."""
    return isinstance(node, DictConfig) and "_target_" in node


def build(key: str, node: Any, **arguments: Any) -> Any:
    """Execute a checked constructor call, after the calls nested in it. With `_partial_`, return a `partial`.

    Hydra's `instantiate` would check a target again at every call of a partial, which takes a millisecond, and would
    turn finished parts back into configuration.

    Args:
        key: the key of the node, for error messages.
        node: the node with a `_target_`.
        arguments: arguments in addition to the node's options.

    Raises:
        ConfigError: the constructor raised a ValueError or TypeError.
    """
    target = get_object(node["_target_"])
    options = {str(name): construct(f"{key}.{name!s}", node[name]) for name in node if name not in DIRECTIVES}
    options |= arguments
    try:
        return partial(target, **options) if node.get("_partial_") else target(**options)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{key}: {error}") from error


def construct(key: str, value: Any) -> Any:
    """A value of a node as plain Python, with the constructor calls inside it executed."""
    if isinstance(value, DictConfig):
        return build(key, value) if is_call(value) else {n: construct(f"{key}.{n!s}", value[n]) for n in value}
    return [construct(f"{key}[{i}]", item) for i, item in enumerate(value)] if isinstance(value, ListConfig) else value
