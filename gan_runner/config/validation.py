"""Check the values of a configuration against annotated types, by pydantic."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from omegaconf import DictConfig, ListConfig, OmegaConf

from gan_runner.config.lookup import either, suggested_knob
from gan_runner.config.suggestions import did_you_mean
from gan_runner.errors import ConfigError

SEEDS = range(-(2**63), 2**64)
"""The seeds that torch's random number generators accept."""


@dataclass(frozen=True)
class Check:
    """`Annotated[Any, Check(kind)]` makes pydantic check a value as `kind`, a type that Hydra does not support."""

    kind: Any

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """The schema that pydantic generates for the kind."""
        return handler.generate_schema(self.kind)


def conform(key: str, value: Any, hint: Any, config: DictConfig) -> Any:
    """Convert a value of a configuration to an annotated type (`[0, 0.9]` to floats).

    Args:
        key: the key of the value.
        value: the value, without interpolations.
        hint: the type, or a dataclass whose fields are the options below `key`.
        config: unresolved, because its interpolations show which key the user set.

    Raises:
        ConfigError: the value does not fit. The message names the key, the value, and what is allowed.
    """
    import pydantic  # here, so that --help and typos in groups need not wait for it
    from pydantic_core import SchemaError

    plain = OmegaConf.to_container(value) if isinstance(value, DictConfig | ListConfig) else value
    try:
        fitting = adapter(hint).validate_python(plain)
    except pydantic.ValidationError as error:
        raise ConfigError(explain_invalid(error.errors()[0], key, plain, hint, config)) from None
    except (pydantic.PydanticSchemaGenerationError, SchemaError):  # a type that only an object can have
        raise ConfigError(not_a_part(source_of(config, key), plain)) from None
    return list(fitting) if isinstance(fitting, tuple) else fitting


@cache
def adapter(hint: Any) -> Any:
    """Pydantic's validator of an annotated type."""
    import pydantic

    return pydantic.TypeAdapter(hint, config=None if is_dataclass(hint) else {"arbitrary_types_allowed": True})


def not_a_part(key: str, value: Any) -> str:
    """The message for a plain value, or an empty section, where a constructor call must be."""
    return f"{key}={value} must be a constructor call with a _target_; choose an option of its group: GROUP=NAME"


def explain_invalid(error: Any, key: str, plain: Any, hint: Any, config: DictConfig) -> str:
    """One of pydantic's errors as one line: the key that the user set, its value, and what is allowed."""
    for part in error["loc"]:  # also holds the names of types, where several are allowed
        if (isinstance(plain, dict) and part in plain) or (isinstance(plain, list) and isinstance(part, int)):
            key, plain = f"{key}.{part}", plain[part]
    source, allowed = source_of(config, key), error.get("ctx", {})
    family, _, name = source.rpartition(".")
    match error["type"]:
        case "is_instance_of":
            return not_a_part(source, plain)
        case "literal_error":
            return f"{source}={plain} is not an option{did_you_mean(str(plain), words_of(allowed['expected']))}"
        case "greater_than_equal":
            return f"{source}={plain} must be at least {allowed['ge']}"
        case "unexpected_keyword_argument":
            return f"there is no option {source}{suggested_knob(name, names_of(hint), family)}"
        case "dataclass_type":
            return f"{source}={plain} must hold options; choose from {', '.join(names_of(hint))}"
        case "value_error":
            return f"{source}: {allowed['error']}"
    kinds = (
        [KINDS.get(kind, KINDS.get(get_origin(kind))) for kind in get_args(hint)] if isinstance(hint, UnionType) else []
    )
    if kinds and None not in kinds:
        return f"{source}={plain} must be {either(map(str, kinds))}"
    return f"{source}={plain}: {error['msg'][0].lower()}{error['msg'][1:]}"


KINDS = {
    int: "an integer",
    float: "a number",
    str: "a text",
    bool: "true or false",
    NoneType: "null",
    tuple: "a list",
    list: "a list",
    tuple[str, ...]: "a list of texts",
    tuple[float, ...]: "a list of numbers",
}
"""Types in the words of YAML."""


def words_of(expected: str) -> list[str]:
    """The choices of a Literal, which pydantic writes as `'a', 'b' or True`."""
    return [word.strip("'") for word in re.split(", | or ", expected)]


def names_of(schema: Any) -> list[str]:
    """The names of a dataclass's fields."""
    return [field.name for field in fields(schema)]


INTERPOLATION = re.compile(r"\$\{([\w.\[\]]+)\}")
SELECT = re.compile(r"\$\{oc\.select:([\w.]+)\}")
"""References to another key. The second is None where that key does not exist."""


def source_of(config: DictConfig, key: str) -> str:
    """The key that holds the value: the end of the chain of interpolations that starts at `key`."""
    plain = OmegaConf.to_container(config, resolve=False)
    seen: set[str] = set()
    while key not in seen:
        seen.add(key)
        key = next_source(plain, key)
    return key


def next_source(node: Any, key: str) -> str:
    """The key that an interpolation at `key`, or at a section around it, refers to; `key` itself without one."""
    names = key.replace("[", ".").replace("]", "").split(".")
    for place, name in enumerate(names):
        if isinstance(node, dict) and name in node:
            node = node[name]
        elif isinstance(node, list) and name.isdigit() and int(name) < len(node):
            node = node[int(name)]
        else:
            other = INTERPOLATION.fullmatch(str(node)) or SELECT.fullmatch(str(node))
            return ".".join([other[1], *names[place:]]) if other else key
    other = INTERPOLATION.fullmatch(str(node))
    return other[1] if other else key
