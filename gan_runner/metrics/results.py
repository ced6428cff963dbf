"""What a metric looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from gan_runner.losses import Evaluated as Evaluated
from gan_runner.turn import lazy

if TYPE_CHECKING:
    from gan_runner.build import Parts


class Results:
    """A game's results at one moment: each is made only when a metric asks for it, and once.

    Args:
        parts: what plays, with `dataset`, `loss`, `game` and `networks`.
        noise: latents (n, latent_dim) of the samples.
        real: data (n, *shape) to compare them with.
    """

    def __init__(self, parts: Parts, noise: Tensor, real: Tensor):
        self.parts = parts
        self.dataset = parts.dataset
        self.loss = parts.loss
        self.noise = noise
        self.real = real

    @lazy
    def samples(self) -> Tensor:
        """Generated data (n, *shape), from averaged weights where there are any."""
        return self.parts.sample(self.noise)

    @lazy
    def real_scores(self) -> Tensor:
        """The critic's scores (n,) of the data."""
        return self.parts.criticise(self.real)

    @lazy
    def fake_scores(self) -> Tensor:
        """The critic's scores (n,) of the samples."""
        return self.parts.criticise(self.samples)
