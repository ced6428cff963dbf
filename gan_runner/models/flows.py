"""Invertible layers of normalising flows, with the Jacobian determinant of the inverse in closed form.

A layer maps z → x to generate samples, and x → z with log|det dz/dx| to compute densities.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid


class Invertible(nn.Module):
    """A differentiable bijection."""

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """z → x."""

    @abstractmethod
    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (n, …) → z, and log|det dz/dx| (n,) in nats."""


class Composition(Invertible):
    """A composition of bijections.

    Args:
        steps: the bijections, applied in this order to z.
    """

    def __init__(self, *steps: Invertible):
        super().__init__()
        self.steps = nn.ModuleList(steps)

    def forward(self, z: Tensor) -> Tensor:
        """z → x."""
        for step in self.steps:
            z = step(z)
        return z

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x → z, and log|det dz/dx|."""
        log_det = x.new_zeros(len(x))
        for step in reversed(self.steps):
            x, more = step.inverse(x)  # type: ignore[operator]
            log_det = log_det + more
        return x, log_det


class Coupling(Invertible):
    """Affine coupling: x = z exp(s) + t where the mask is 0 and x = z where it is 1 (Dinh et al. 2017, Eq. 9).

    arXiv:1605.08803. s and t are functions of z where the mask is 1. As in the paper s = c tanh(s̃), with one learned
    bound c for each channel. The last layer of the network is initialised with zeros, so training starts from the
    identity.

    Args:
        mask: ones and zeros, of a shape that broadcasts to that of one sample.
        network: (n, channels, …) → s̃ and t, (n, 2 · channels, …).
        channels: size of dimension 1.
    """

    mask: Tensor

    def __init__(self, mask: Tensor, network: nn.Module, channels: int):
        super().__init__()
        self.network = network
        self.register_buffer("mask", mask)
        self.bound = nn.Parameter(torch.ones(channels, *[1] * (mask.dim() - 1)))

    def scale_and_shift(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """s and t, zero where the mask is one."""
        scale, shift = self.network(self.mask * seen).to(seen.dtype).chunk(2, 1)
        free = 1 - self.mask
        return free * self.bound * scale.tanh(), free * shift

    def forward(self, z: Tensor) -> Tensor:
        """z → x."""
        scale, shift = self.scale_and_shift(z)
        return z * scale.exp() + shift

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x → z, and log|det dz/dx| = −Σ s."""
        scale, shift = self.scale_and_shift(x)
        return (x - shift) * (-scale).exp(), -scale.flatten(1).sum(1)


class ActNorm(Invertible):
    """x = exp(a) z + b with one a and b for each channel, initialised so that z has mean 0 and variance 1 on data.

    Kingma & Dhariwal 2018, arXiv:1807.03039, Section 3.1. It replaces the batch norm of Real NVP: its determinant does
    not depend on the batch, so densities are exact in training, too.

    Args:
        channels: size of dimension 1.
        spatial: whether samples are (channels, h, w).
    """

    def __init__(self, channels: int, spatial: bool):
        super().__init__()
        shape = (channels, 1, 1) if spatial else (channels,)
        self.log_scale = nn.Parameter(torch.zeros(shape))
        self.shift = nn.Parameter(torch.zeros(shape))
        self.fitting = False

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Set a and b so that x (n, channels, …) is standardised. A constant channel is only shifted."""
        over = [dim for dim in range(x.dim()) if dim != 1]
        variance, mean = torch.var_mean(x, over, correction=0)
        self.shift.copy_(mean.view_as(self.shift))
        self.log_scale.copy_(torch.where(variance > 0, variance, 1).sqrt().log().view_as(self.log_scale))

    def forward(self, z: Tensor) -> Tensor:
        """z → x."""
        return z * self.log_scale.exp() + self.shift

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x → z, and log|det dz/dx|: −a summed over channels and positions."""
        if self.fitting:
            self.fit(x)
        log_det = -self.log_scale.sum() * math.prod(x.shape[2:])
        return (x - self.shift) * (-self.log_scale).exp(), log_det.expand(len(x))


CORNERS = ((0, 0), (1, 1), (0, 1), (1, 0))
"""The pixels of a 2×2 square. Those of one colour of a checkerboard come first."""


def squeeze(x: Tensor) -> Tensor:
    """Move each 2×2 square of pixels to channels: (n, c, 2h, 2w) → (n, 4c, h, w) (Dinh et al. 2017, Section 3.6)."""
    return torch.cat([x[..., row::2, column::2] for row, column in CORNERS], 1)


def unsqueeze(x: Tensor) -> Tensor:
    """The inverse of `squeeze`: (n, 4c, h, w) → (n, c, 2h, 2w)."""
    top_left, bottom_right, top_right, bottom_left = x.chunk(4, 1)
    top = torch.stack([top_left, top_right], -1).flatten(-2)
    bottom = torch.stack([bottom_left, bottom_right], -1).flatten(-2)
    return torch.stack([top, bottom], -2).flatten(-3, -2)


class Flatten(Invertible):
    """A reshape: rows (n, elements) → (n, *shape).

    Args:
        shape: shape of one sample.
    """

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, z: Tensor) -> Tensor:
        """z → x."""
        return z.view(-1, *self.shape)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x → z, and log|det dz/dx| = 0."""
        return x.flatten(1), x.new_zeros(len(x))


class MultiScale(Invertible):
    """One scale of a multi-scale flow: rows (n, elements) → (n, *shape).

    From data to latents: bijections of the image, a squeeze, and bijections of the squeezed image. Half of its channels
    are then latents. The other half is an image of half the side, which goes to the next scale (Dinh et al. 2017,
    Section 3.6, Eq. 14).

    Args:
        shape: (channels, height, width), both sides even.
        fine: bijection of the image.
        coarse: bijection of the squeezed image.
        rest: the coarser scales, rows → (2 · channels, height / 2, width / 2).
    """

    def __init__(self, shape: tuple[int, ...], fine: Invertible, coarse: Invertible, rest: Invertible):
        super().__init__()
        channels, height, width = shape
        self.kept = (2 * channels, height // 2, width // 2)
        self.fine = fine
        self.coarse = coarse
        self.rest = rest

    def forward(self, z: Tensor) -> Tensor:
        """z → x."""
        own, others = z.chunk(2, 1)
        return self.fine(unsqueeze(self.coarse(torch.cat([own.reshape(-1, *self.kept), self.rest(others)], 1))))

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x → z, and log|det dz/dx|."""
        x, of_fine = self.fine.inverse(x)
        x, of_coarse = self.coarse.inverse(squeeze(x))
        own, others = x.chunk(2, 1)
        z, of_rest = self.rest.inverse(others)
        return torch.cat([own.flatten(1), z], 1), of_fine + of_coarse + of_rest


class Bounded(Invertible):
    """A map from ℝ to slightly more than [−1, 1], whose inverse is z = logit(α + (1 − 2α)(x + 1) / 2).

    Dinh et al. 2017, Section 4.1, made symmetric for data in [−1, 1]. Since α > 0, the latents of all data are finite.
    Generated values exceed [−1, 1] by up to 2α / (1 − 2α).

    Args:
        alpha: α, between 0 and ½, exclusive.
    """

    def __init__(self, alpha: float):
        super().__init__()
        if not 0 < alpha < 0.5:
            raise ValueError(f"alpha={alpha} must be between 0 and 0.5; the paper uses 0.05")
        self.alpha = alpha
        self.slope = (1 - 2 * alpha) / 2

    def forward(self, z: Tensor) -> Tensor:
        """z → x."""
        return (z.sigmoid() - 0.5) / self.slope

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x → z, and log|det dz/dx|, where dx/dz = σ(z) σ(−z) / slope."""
        z = torch.logit(0.5 + self.slope * x)
        log_slopes = math.log(self.slope) - logsigmoid(z) - logsigmoid(-z)
        return z, log_slopes.flatten(1).sum(1)
