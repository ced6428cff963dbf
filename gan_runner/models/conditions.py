"""What a generator and its judge are told beside latents and data, as a network that nobody descends."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from gan_runner.datasets.base import Data
from gan_runner.datasets.labels import Labels
from gan_runner.turn import Batch

KNOWN = 1000
"""Conditions of the data that are kept, so that samples can be drawn where there is no data."""


class Condition(Protocol):
    """Conditions (n, dim) of batches, of samples that nobody asked for in particular, and of words."""

    dim: int

    def __call__(self, batch: Batch) -> Tensor:
        """Those of a batch: (n, dim)."""

    def prepare(self, data: Data) -> None:
        """Keep some of the data's."""

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """n of what the data may have, on the CPU: (n, dim)."""

    def parse(self, text: str) -> Tensor:
        """The condition (dim,) that a person means.

        Raises:
            ValueError: there is no such thing.
        """

    def shown(self, n: int) -> tuple[Tensor, list[str]]:
        """At most n conditions (k, dim) that are worth a row of a picture each, on the CPU, and what they say."""


class LabelCondition(nn.Module):
    """Labels, or attributes, as vectors.

    Samples are drawn for labels of the data, in the shares that they have there.

    Args:
        labels: what they mean.
    """

    known: Tensor

    def __init__(self, labels: Labels):
        super().__init__()
        self.labels = labels
        self.dim = labels.dim
        self.register_buffer("known", torch.zeros(KNOWN, self.dim))

    def forward(self, batch: Batch) -> Tensor:
        """Vectors (n, dim) of a batch."""
        return self.labels.vectors(batch["label"]).to(batch["data"].dtype)

    def surprise(self, logits: Tensor, condition: Tensor) -> Tensor:
        """−log P(condition) in nats under logits (n, dim): (n,)."""
        return self.labels.surprise(logits, condition)

    def prepare(self, data: Data) -> None:
        """Keep a thousand of them, some of them more than once where there are fewer."""
        vectors = self.labels.vectors(data.first(KNOWN)["label"])
        self.known.copy_(vectors[torch.arange(KNOWN, device=vectors.device) % len(vectors)])

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Some of those, at random: (n, dim)."""
        return self.known.cpu()[torch.randint(KNOWN, (n,), generator=rng)]

    def parse(self, text: str) -> Tensor:
        """A class by its name or number; attributes by their names, with commas between them: (dim,)."""
        return self.labels.parse(text)

    def shown(self, n: int) -> tuple[Tensor, list[str]]:
        """The first n different ones of the data, in order."""
        vectors = self.known.cpu().unique(dim=0).flip(0)[:n]
        return vectors, [self.labels.say(vector) for vector in vectors]
