"""The schema of a configuration: its options, their types and their ranges."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gan_runner.config.suggestions import choose
from gan_runner.distributed import processes
from gan_runner.errors import ConfigError


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
        count = processes.present.size
        if self.batch_size % count:
            nearest = (self.batch_size // count + 1) * count
            raise ConfigError(
                f"trainer.batch_size={self.batch_size} is shared out among {count} processes, "
                f"and cannot be divided by {count}; choose {nearest}"
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
