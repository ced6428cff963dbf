"""The schema of a configuration. Hydra checks its names and types; pydantic checks the `Annotated` types."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge

from gan_runner.config.validation import Check
from gan_runner.distributed import processes
from gan_runner.errors import ConfigError


class AtLeast(Check):
    """`Annotated[Any, AtLeast(1)]`: a whole number, which may be typed as `1e4`; Hydra refuses that for an `int`."""

    def __init__(self, least: int):
        super().__init__(Annotated[int, Ge(least)])

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """The schema of the number, without true and false, which pydantic would take for 1 and 0."""
        from pydantic_core import core_schema

        number = super().__get_pydantic_core_schema__(source, handler)
        return core_schema.no_info_before_validator_function(refuse_booleans, number)


def refuse_booleans(value: Any) -> Any:
    """Return a value that is not a boolean."""
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()} is not a number")
    return value


Positive = Annotated[Any, AtLeast(1)]
NotNegative = Annotated[Any, AtLeast(0)]


@dataclass
class Trainer:
    """Options of the training loop. Intervals (`…_every`) are in steps; 0 means never."""

    steps: Positive = 2500
    batch_size: Positive = 64
    device: str = "auto"
    compile: Annotated[Any, Check(Literal["auto", False, True, "iteration"])] = "auto"
    precision: Annotated[str, Check(Literal["fp32", "tf32", "bf16", "fp16"])] = "fp32"
    deterministic: bool = False
    channels_last: bool = True
    log_every: NotNegative = 50
    sample_every: NotNegative = 500
    evaluate_every: NotNegative = 500
    checkpoint_every: NotNegative = 500
    on_divergence: Annotated[str, Check(Literal["stop", "rollback"])] = "stop"
    rollbacks: Positive = 3

    def check_together(self) -> None:
        """Raise ConfigError for options that exclude each other, or do not fit the number of processes."""
        if self.precision == "fp16" and self.compile == "iteration":
            raise ConfigError(
                "trainer.precision=fp16 skips steps whose gradients overflow, and trainer.compile=iteration cannot "
                "skip a step; choose trainer.compile=true or trainer.precision=bf16"
            )
        count = processes.present.size
        if self.batch_size % count:
            nearest = (self.batch_size // count + 1) * count
            raise ConfigError(
                f"trainer.batch_size={self.batch_size} cannot be divided equally among {count} processes; "
                f"choose {nearest}"
            )


@dataclass
class Logger:
    """Options of Weights & Biases."""

    mode: Annotated[str | None, Check(Literal["online", "offline", "disabled"] | None)] = None
    project: str = "gan-runner"
    entity: str | None = None
    group: str | None = None
    name: str | None = None
    tags: list[str] = field(default_factory=list)
    artifacts: Annotated[str, Check(Literal["none", "last", "best"])] = "none"


@dataclass
class PlayerConfig:
    """Options of a player (`gan_runner.players.Player`). `optimizer` and `scheduler` override the shared ones."""

    networks: list[str] = field(default_factory=list)
    updates: Annotated[Any, Check(int | dict[int, int])] = 1
    fresh_batches: bool | None = None
    optimizer: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, Any] = field(default_factory=dict)
    terms: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Annotated[Any, Check(float | dict[str, Any])]] = field(default_factory=dict)
    constraints: dict[str, Any] = field(default_factory=dict)


@dataclass
class Config:
    """The complete configuration. Hydra's groups fill the sections that are constructor calls."""

    seed: int = 0
    seeds: Any = None
    resume: str | None = None
    explain: bool = False
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
