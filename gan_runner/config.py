"""Configuration: its schema, what may be constructed, and one clear line for whatever is wrong with it."""

from __future__ import annotations

import difflib
import importlib
import inspect
import math
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.utils import get_object
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, InterpolationKeyError, OmegaConfBaseException

from gan_runner import distributed
from gan_runner.errors import ConfigError
from gan_runner.expectations import Expectation
from gan_runner.files import parsed_yaml
from gan_runner.interpolations import check_interpolations

CONF = next(
    path
    for path in (Path(__file__).parent / "conf", Path(__file__).parent.parent / "conf")
    if (path / "config.yaml").is_file()
)
"""Where the YAML lives: inside the package when installed from a wheel, beside it in a checkout."""

ROOMS = (
    "losses",
    "terms",
    "constraints",
    "games",
    "models",
    "datasets",
    "metrics",
    "observers",
    "optimizers",
    "play",
    "schedules",
    "extractors",
    "kernels",
    "step",
)
TRUSTED = (*(f"gan_runner.{room}." for room in ROOMS), "torch.optim.", "torchvision.datasets.")
"""What a `_target_` may start with; a user adds to it by `trusted=[my_package]`."""

KINDS = {
    "torch.optim.": ("Optimizer", "LRScheduler"),
    "torchvision.datasets.": ("VisionDataset",),
}
"""Of other people's packages, only the classes that derive from these: not their helpers, which may write files."""

NOT_TRAINED = (
    *("seed", "seeds", "resume", "logger", "observer", "trusted"),
    *("metric", "extractor", "objective", "expected", "full_scale"),
)
"""Options of a run that are no part of its configuration in the narrow sense."""

WHERE_AND_HOW = (
    *("device", "compile", "channels_last", "deterministic"),
    *("log_every", "sample_every", "evaluate_every", "checkpoint_every"),
    *("root", "download", "workers", "resident"),
)
"""Options of trainer and dataset that say where and how a run is made, and not what is trained."""

DIRECTIVES = frozenset({"_target_", "_partial_", "_recursive_", "_convert_"})


@dataclass
class Trainer:
    """How long, how much at a time, on what, and how often something is looked at."""

    steps: int = 2500
    batch_size: int = 64
    device: str = "auto"
    compile: Any = "auto"
    precision: str = "fp32"
    deterministic: bool = False
    channels_last: bool = True
    log_every: int = 50
    sample_every: int = 500
    evaluate_every: int = 500
    checkpoint_every: int = 500
    on_divergence: str = "stop"
    rollbacks: int = 3

    def check(self) -> None:
        """Raise ConfigError for numbers out of range."""
        for name in ("steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"trainer.{name}={getattr(self, name)} must be at least 1")
        for name in ("log_every", "sample_every", "evaluate_every", "checkpoint_every"):
            if getattr(self, name) < 0:
                raise ConfigError(f"trainer.{name}={getattr(self, name)} is negative; choose 0 for never")
        if self.rollbacks < 1:
            raise ConfigError(
                f"trainer.rollbacks={self.rollbacks} must be at least 1; trainer.on_divergence=stop has none"
            )
        choose("trainer.on_divergence", self.on_divergence, ("stop", "rollback"))
        choose("trainer.compile", self.compile, ("auto", False, True, "iteration"))
        choose("trainer.precision", self.precision, ("fp32", "tf32", "bf16", "fp16"))
        if self.precision == "fp16" and self.compile == "iteration":
            raise ConfigError(
                "trainer.precision=fp16 may leave out a step, which trainer.compile=iteration cannot; "
                "choose trainer.compile=true or trainer.precision=bf16"
            )
        processes = distributed.present.size
        if self.batch_size % processes:
            nearest = (self.batch_size // processes + 1) * processes
            raise ConfigError(
                f"trainer.batch_size={self.batch_size} is shared out among {processes} processes, "
                f"and cannot be divided by {processes}; choose {nearest}"
            )


@dataclass
class Logger:
    """Weights & Biases."""

    mode: str | None = None
    project: str = "gan-runner"
    entity: str | None = None
    group: str | None = None
    name: str | None = None
    tags: list[str] = field(default_factory=list)
    artifacts: str = "none"

    def check(self) -> None:
        """Raise ConfigError for choices that do not exist."""
        choose("logger.mode", self.mode, (None, "online", "offline", "disabled"))
        choose("logger.artifacts", self.artifacts, ("none", "last", "best"))


@dataclass
class PlayerConfig:
    """A player: see `gan_runner.players.Player`. Its optimizer and scheduler are diffs over the shared ones."""

    networks: list[str] = field(default_factory=list)
    updates: int = 1
    fresh_batches: bool | None = None
    optimizer: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, Any] = field(default_factory=dict)
    terms: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    constraints: dict[str, Any] = field(default_factory=dict)


@dataclass
class Config:
    """The whole. Groups fill the parts that are constructor calls."""

    seed: int = 0
    seeds: Any = None
    resume: str | None = None
    trusted: list[str] = field(default_factory=list)
    trainer: Trainer = field(default_factory=Trainer)
    logger: Logger = field(default_factory=Logger)
    suggested: dict[str, float] = field(default_factory=dict)
    objective: str | None = None
    expected: dict[str, Any] = field(default_factory=dict)
    full_scale: bool = False
    dataset: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    game: dict[str, Any] = field(default_factory=dict)
    play: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, Any] = field(default_factory=dict)
    loss: dict[str, Any] = field(default_factory=dict)
    method: dict[str, Any] = field(default_factory=dict)
    likelihood: dict[str, Any] = field(default_factory=dict)
    prior: dict[str, Any] = field(default_factory=dict)
    regularizer: dict[str, Any] = field(default_factory=dict)
    extractor: dict[str, Any] = field(default_factory=dict)
    metric: dict[str, Any] = field(default_factory=dict)
    observer: dict[str, Any] = field(default_factory=dict)
    players: dict[str, PlayerConfig] = field(default_factory=dict)


def register() -> None:
    """Tell Hydra the schema of `conf/`, and what an interpolation can compute."""
    ConfigStore.instance().store(name="schema", node=Config)
    OmegaConf.register_new_resolver("elements", elements_of, replace=True)


def elements_of(dataset: DictConfig, *, _root_: DictConfig) -> int:
    """`${elements:${dataset}}`: how many numbers one sample of a dataset has, for what must be of that size.

    Raises:
        ConfigError: the dataset is not well described.
    """
    node = OmegaConf.create(OmegaConf.to_container(dataset, resolve=True))
    for key, call in constructor_calls(node, "dataset"):
        check_call(key, call, _root_)
    return math.prod(build("dataset", node).shape)


def did_you_mean(word: str, choices: Iterable[str], prefix: str = "") -> str:
    """The nearest choice (behind a prefix) as a question, else all of them; empty if there are none."""
    choices = sorted(map(str, choices))
    near = difflib.get_close_matches(word, choices, n=1)
    if near:
        return f"; did you mean {prefix}{near[0]}?"
    return f"; choose from {', '.join(choices)}" if choices else ""


def choose(key: str, value: Any, choices: Iterable[Any]) -> None:
    """Raise ConfigError if a value is not among its choices."""
    choices = list(choices)
    if value not in choices:
        names = ["null" if choice is None else str(choice) for choice in choices]
        raise ConfigError(f"{key}={value} is not known{did_you_mean(str(value), names)}")


def resolve(config: DictConfig) -> DictConfig:
    """A copy with every interpolation replaced by its value, checked from end to end before anything is built.

    Raises:
        ConfigError: unknown or mistyped options, values out of range, targets that are not trusted.
    """
    try:
        resolved = typed(config)
        check_interpolations(resolved, "the configuration")
        OmegaConf.resolve(resolved)
    except RecursionError:
        raise ConfigError("the configuration is nested too deeply; give some of its interpolations values") from None
    except OmegaConfBaseException as error:
        if isinstance(error.__cause__, ConfigError):  # of a resolver
            raise error.__cause__ from None
        raise ConfigError(explain_value(error, config)) from error
    for part, schema in (("trainer", Trainer), ("logger", Logger)):
        typing.cast(Any, schema)(**resolved[part]).check()
    for figure, options in resolved.expected.items():
        check_expectation(f"expected.{figure}", options)
    check_places(resolved)
    for key, node in constructor_calls(resolved):
        check_call(key, node, config)
    return resolved


def typed(config: Any) -> DictConfig:
    """A copy by the schema, interpolations as they stand.

    Raises:
        OmegaConfBaseException: it does not go with the schema.
    """
    untyped = OmegaConf.to_container(config, resolve=False)  # a typed one would bring keys that the schema has not
    return typing.cast(DictConfig, OmegaConf.merge(OmegaConf.structured(Config), untyped))


def check_saved(text: str, name: str) -> None:
    """Refuse what is no configuration of a run, before anything of it is read.

    Args:
        text: of YAML.
        name: of it, for people.

    Raises:
        ConfigError: it cannot be read, stands for too much, or has other keys than a run's.
    """
    config = parsed_yaml(text, name)
    try:
        fitting = isinstance(config, DictConfig) and isinstance(config.get("trainer"), DictConfig) and typed(config)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{name} is none of a run: {explain_value(error)}") from error
    if not fitting:
        raise ConfigError(f"{name} is none of a run: it has no trainer")


def check_places(node: DictConfig, key: str = "") -> None:
    """Raise ConfigError for an option that sets players too, where it was chosen for a place inside another part."""
    for name, child in node.items():
        if isinstance(child, DictConfig):
            place = f"{key}.{name!s}".lstrip(".")
            if "players" in child:
                raise ConfigError(
                    f"what was chosen for {place} sets {', '.join(map(str, child))}, so it cannot be there; choose "
                    f"another for {place}"
                )
            check_places(child, place)


def check_expectation(key: str, options: Any) -> None:
    """Raise ConfigError for an expectation that is none, or gives a figure without saying what is accepted."""
    known = type_hints(Expectation)
    if not isinstance(options, DictConfig):
        raise ConfigError(f"{key}={options} is no expectation; set {key}.at_least or {key}.at_most")
    for name, value in options.items():
        if name not in known:
            raise ConfigError(f"there is no option {key}.{name!s}{did_you_mean(str(name), known, f'{key}.')}")
        conform(f"{key}.{name!s}", value, known[str(name)])
    if options and options.get("at_least") is None and options.get("at_most") is None:
        raise ConfigError(f"{key} accepts anything; set {key}.at_least or {key}.at_most")


def what_is_trained(config: DictConfig) -> dict[str, Any]:
    """The options that runs share which differ only in the seed, in where and how they are made, or in what looks."""
    plain: Any = OmegaConf.to_container(config, resolve=True)
    for key in NOT_TRAINED:
        plain.pop(key, None)
    return plain | {part: without_place(plain[part]) for part in ("trainer", "dataset") if part in plain}


def without_place(options: Any) -> Any:
    """Options of trainer or dataset, less those that say where and how; so in what they hold."""
    if not isinstance(options, dict):
        return options
    return {key: without_place(value) for key, value in options.items() if key not in WHERE_AND_HOW}


def explain_value(error: OmegaConfBaseException, config: DictConfig | None = None) -> str:
    """OmegaConf's error in one line: the key that the user can set, and what it might have been."""
    key = str(error.full_key or "")
    family, _, name = key.rpartition(".")
    siblings: list[str] = []
    if isinstance(error, ConfigKeyError | ConfigAttributeError) and family and error.parent_node == {}:
        return f"there is no option {key}: with these parts there is no {family}"
    if isinstance(error.parent_node, DictConfig) and not is_dataclass(error.object_type):
        siblings = [str(sibling) for sibling in error.parent_node if str(sibling) not in DIRECTIVES]
    elif is_dataclass(error.object_type):
        siblings = [sibling.name for sibling in fields(error.object_type)]
    if name and siblings and name not in siblings:
        return f"there is no option {key}{did_you_mean(name, siblings, f'{family}.'.lstrip('.'))}"
    if isinstance(error, InterpolationKeyError):
        return unread(error, key)
    if "Cannot merge DictConfig with ListConfig" in str(error):
        return "a file of a group holds a list, where there must be keys such as _target_"
    key = key if config is None else source_of(config, key)
    what = str(error).split("\n", 1)[0].rpartition("': ")[2]  # without "While dereferencing interpolation '…': "
    if config is not None and what == "Recursive interpolation detected":
        return f"interpolations lead back to themselves ({', '.join(circular(config))}); give one of them a value"
    return f"{key}: {what}" if key else what


def circular(config: DictConfig) -> list[str]:
    """The keys whose interpolations lead back to themselves; lists are not looked into."""
    found = []
    for key in config:
        if OmegaConf.is_interpolation(config, str(key)):
            try:
                config[key]
            except OmegaConfBaseException as error:
                found += [str(error.full_key)] if "Recursive interpolation" in str(error) else []
        elif OmegaConf.is_dict(config[key]):
            found += circular(config[key])
    return found


def unread(error: InterpolationKeyError, key: str) -> str:
    """A line for an interpolation of a key that these parts do not have."""
    wanted = re.findall(r"Interpolation key '([^']*)' not found", str(error))
    reader = f"{key} reads" if key else "an option reads"
    return f"{reader} {', '.join(wanted)}, and with these parts there is none; leave that part out, or choose others"


def source_of(config: DictConfig, key: str) -> str:
    """The key that a value comes from: the end of a chain of plain interpolations that starts at `key`."""
    seen = {key}
    while True:
        node: Any = config
        names = key.replace("[", ".").replace("]", "").split(".")
        for place, name in enumerate(names):
            if not isinstance(node, DictConfig | ListConfig):
                other = re.fullmatch(r"\$\{oc\.select:([\w.]+)\}", str(node._value()))  # the same part of another
                return source_of(config, ".".join([other[1], *names[place:]])) if other else key
            index: Any = int(name) if isinstance(node, ListConfig) and name.isdigit() else name
            child = node._get_node(index) if name else None
            if child is None:
                return key
            node = child
        raw = node._value() if hasattr(node, "_value") else None
        if not (isinstance(raw, str) and raw.startswith("${") and raw.count("${") == 1 and ":" not in raw):
            return key
        key = raw[2:-1]
        if key in seen:
            return key
        seen.add(key)


def constructor_calls(node: Any, key: str = "") -> Iterator[tuple[str, DictConfig]]:
    """Every node with a `_target_`, innermost last, with its key."""
    if isinstance(node, DictConfig):
        if is_call(node):
            yield key, node
        for name in map(str, node):
            yield from constructor_calls(node[name], f"{key}.{name}".lstrip("."))
    elif isinstance(node, ListConfig):
        for index, item in enumerate(node):
            yield from constructor_calls(item, f"{key}[{index}]")


def locate(target: Any, trusted: Iterable[str], key: str = "_target_") -> Callable[..., Any]:
    """The class or function that a trusted `_target_` names.

    A name may not climb out of its package through what a module happens to import: where the object was
    defined must be trusted too.

    Raises:
        ConfigError: if it is not trusted, or not there.
    """
    prefixes = (*TRUSTED, *(f"{prefix.rstrip('.')}." for prefix in trusted))
    if not isinstance(target, str) or not f"{target}.".startswith(prefixes):
        raise ConfigError(
            f"{key}._target_={target} is outside the allow-list, and a target is code that would run; "
            "if you trust its package, add trusted=[package]"
        )
    path, _, name = target.rpartition(".")
    try:
        module = importlib.import_module(path)
    except ImportError as error:
        raise ConfigError(f"{key}._target_={target} cannot be imported: {error}") from error
    found = getattr(module, name, None)
    if found is None or not callable(found):
        names = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        raise ConfigError(f"{key}._target_={target}: {path} has no {name}{did_you_mean(name, names)}")
    if not f"{getattr(found, '__module__', '')}.".startswith(prefixes):
        raise ConfigError(
            f"{key}._target_={target} leads to {getattr(found, '__module__', '?')}, outside the allow-list"
        )
    kinds = next((kinds for prefix, kinds in KINDS.items() if target.startswith(prefix)), ())
    if kinds and not {base.__name__ for base in getattr(found, "__mro__", ())} & set(kinds):
        raise ConfigError(f"{key}._target_={target} is outside the allow-list: it is no {' or '.join(kinds)}")
    return found


def check_call(key: str, node: DictConfig, config: DictConfig) -> None:
    """Check a constructor call's options by the signature of what it calls, and bring them to its types.

    Raises:
        ConfigError: for an option that it does not take, or a value of the wrong type.
    """
    target = locate(node["_target_"], config.get("trusted", []), key)
    parameters = inspect.signature(target).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    hints = type_hints(target)
    for name in [str(name) for name in node if name not in DIRECTIVES]:
        option = f"{key}.{name}"
        source = source_of(config, option)
        if name not in parameters:
            origin = f"{source} sets {option}, but" if source != option else f"{option}:"
            raise ConfigError(f"{origin} {target.__name__} takes no such option{advice(key, name, source, parameters)}")
        value = node[name]
        if name in hints and not any(True for _ in constructor_calls(value)):
            node[name] = conform(source, value, hints[name])


def type_hints(target: Any) -> dict[str, Any]:
    """The types of a callable's parameters, as far as they can be looked up."""
    # A dataclass inherits fields whose types only the module of their own class can look up.
    constructor = inspect.isclass(target) and not is_dataclass(target)
    try:
        return typing.get_type_hints(target.__init__ if constructor else target)
    except NameError:  # imported for type checkers alone
        return {}


def advice(key: str, name: str, source: str, parameters: Mapping[str, Any]) -> str:
    """What to do about an option that a part does not take.

    A user who typed it probably misspelt it. If a regularizer's diff set it, the part is the wrong one: name
    those of its group that take the option.
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


def conform(key: str, value: Any, hint: Any) -> Any:
    """A plain value as the annotated type wants it (`[0, 0.9]` as floats).

    Raises:
        ConfigError: if it cannot be one.
    """
    import pydantic  # here, so that --help and typos in groups need not wait for it
    from pydantic_core import SchemaError

    plain = OmegaConf.to_container(value) if isinstance(value, DictConfig | ListConfig) else value
    try:
        fitting = pydantic.TypeAdapter(hint, config={"arbitrary_types_allowed": True}).validate_python(plain)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "is_instance_of":  # a type that only an object can have
            raise ConfigError(f"{key}={plain} must be a part, that is, have a _target_") from None
        where = ".".join([key, *(str(part) for part in first["loc"] if isinstance(part, int))])
        raise ConfigError(f"{where}={first['input']}: {first['msg'][0].lower()}{first['msg'][1:]}") from error
    except (pydantic.PydanticSchemaGenerationError, SchemaError):  # likewise
        raise ConfigError(f"{key}={plain} must be a part, that is, have a _target_") from None
    return list(fitting) if isinstance(fitting, tuple) else fitting


def is_call(node: Any) -> bool:
    """Whether a node describes something to construct."""
    return isinstance(node, DictConfig) and "_target_" in node


def build(key: str, node: Any, **arguments: Any) -> Any:
    """Construct what a checked node describes, its parts first; with `_partial_`, what is still to be called.

    Hydra's own `instantiate` would check a target again at every call of a partial, which takes a millisecond, and
    would turn finished parts back into configuration.

    Args:
        key: of the node, for messages.
        node: with a `_target_`.
        arguments: beside the node's options.

    Raises:
        ConfigError: if the part itself refuses its options (a ValueError or TypeError of its constructor).
    """
    target = get_object(node["_target_"])
    options = {str(name): construct(f"{key}.{name!s}", node[name]) for name in node if name not in DIRECTIVES}
    options |= arguments
    try:
        return partial(target, **options) if node.get("_partial_") else target(**options)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{key}: {error}") from error


def construct(key: str, value: Any) -> Any:
    """A plain value of a node as it is, with whatever is a constructor call inside it built."""
    if isinstance(value, DictConfig):
        return build(key, value) if is_call(value) else {n: construct(f"{key}.{n!s}", value[n]) for n in value}
    return [construct(f"{key}[{i}]", item) for i, item in enumerate(value)] if isinstance(value, ListConfig) else value
