"""Invertible layers, each with the Jacobian determinant of its inverse in closed form: what flows are made of.

A layer maps z → x, the way in which samples are made, and back: x → z and log|det dz/dx|, by which data is scored.
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


class Steps(Invertible):
    """Bijections one after the other.

    Args:
        steps: the first is next to z.
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
    """x = z exp(s) + t where the mask is 0, with s and t functions of z where it is 1, which stays as it is.

    Affine coupling (Dinh et al. 2017, arXiv:1605.08803, Eq. 9). As there log-scales are bounded: s = c tanh(s̃), the
    bound c being learned, one a channel. The last layer of the network starts at zero, so that training starts at the
    identity.

    Args:
        mask: of ones and zeros, of a shape that spreads over that of one sample.
        network: (n, channels, …) → (n, 2 · channels, …): s̃ and t.
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
    """x = exp(a) z + b, a and b one a channel: z has mean 0 and variance 1 on the data that it starts from.

    Kingma & Dhariwal 2018, arXiv:1807.03039, Section 3.1. It stands for the batch norm of Real NVP: its determinant is
    the same for every batch, so densities are exact while training, too.

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
        """Standardise x (n, channels, …); a channel that does not vary is only shifted."""
        over = [dim for dim in range(x.dim()) if dim != 1]
        variance, mean = torch.var_mean(x, over, correction=0)
        self.shift.copy_(mean.view_as(self.shift))
        self.log_scale.copy_(torch.where(variance > 0, variance, 1).sqrt().log().view_as(self.log_scale))

    def forward(self, z: Tensor) -> Tensor:
        """z → x."""
        return z * self.log_scale.exp() + self.shift

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x → z, and log|det dz/dx|, minus a for every position."""
        if self.fitting:
            self.fit(x)
        log_det = -self.log_scale.sum() * math.prod(x.shape[2:])
        return (x - self.shift) * (-self.log_scale).exp(), log_det.expand(len(x))


CORNERS = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Of a square of 2×2 pixels, those of one colour of a chessboard first."""


def squeeze(x: Tensor) -> Tensor:
    """(n, c, 2h, 2w) → (n, 4c, h, w), a corner of every 2×2 square after the other (Dinh et al. 2017, Section 3.6)."""
    return torch.cat([x[..., row::2, column::2] for row, column in CORNERS], 1)


def unsqueeze(x: Tensor) -> Tensor:
    """The way back: (n, 4c, h, w) → (n, c, 2h, 2w)."""
    top_left, bottom_right, top_right, bottom_left = x.chunk(4, 1)
    top = torch.stack([top_left, top_right], -1).flatten(-2)
    bottom = torch.stack([bottom_left, bottom_right], -1).flatten(-2)
    return torch.stack([top, bottom], -2).flatten(-3, -2)


class Flatten(Invertible):
    """Rows (n, elements) → (n, *shape).

    Args:
        shape: of one sample.
    """

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, z: Tensor) -> Tensor:
        """z → x."""
        return z.view(-1, *self.shape)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x → z; volumes stay."""
        return x.flatten(1), x.new_zeros(len(x))


class MultiScale(Invertible):
    """A scale of an image and, of half of its numbers, coarser ones: rows (n, elements) → (n, *shape).

    From data on: bijections of the image, a squeeze, bijections of channels; then half of the channels are latents, and
    the other half is an image of half the side, for the next scale (Dinh et al. 2017, Section 3.6, Eq. 14).

    Args:
        shape: (channels, height, width), both sides even.
        fine: bijections of images.
        coarse: bijections of squeezed images.
        rest: rows → (2 · channels, height / 2, width / 2).
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
    """All numbers → those from −1 to 1 and a little beyond: the inverse is z = logit(α + (1 − 2α)(x + 1) / 2).

    Dinh et al. 2017, Section 4.1, for data from −1 to 1, and the same at both ends. With α > 0 no datum is infinitely
    far away; what is generated reaches 2α / (1 − 2α) beyond.

    Args:
        alpha: α, from 0 to ½, both excluded.
    """

    def __init__(self, alpha: float):
        super().__init__()
        if not 0 < alpha < 0.5:
            raise ValueError(f"alpha={alpha} must be between 0 and 0.5; the paper has 0.05")
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
