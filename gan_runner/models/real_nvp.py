"""Real NVP: an invertible generator with a known density (Dinh et al. 2017, arXiv:1605.08803)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gan_runner.datasets.images import dequantised
from gan_runner.models.encoders import Posterior
from gan_runner.models.flows import CORNERS, ActNorm, Bounded, Composition, Coupling, Flatten, Invertible, MultiScale
from gan_runner.models.layers.normalization import Norm, WeightNorm, reparametrize
from gan_runner.models.mlp import hidden_layers
from gan_runner.models.networks import Generator, elements
from gan_runner.models.sizes import at_least_one

Mask = Callable[[tuple[int, ...], int], Tensor]
"""The shape of one sample and a phase 0 or 1 → ones and zeros that broadcast to that shape; phase 1 swaps them."""


def alternating(shape: tuple[int, ...], phase: int) -> Tensor:
    """Every other element of a vector: (dim,)."""
    return ((torch.arange(shape[0]) + phase) % 2).float()


def checkerboard(shape: tuple[int, ...], phase: int) -> Tensor:
    """Every other pixel, in all channels: (1, height, width) (Dinh et al. 2017, Figure 3 left)."""
    _, height, width = shape
    return ((torch.arange(height).unsqueeze(1) + torch.arange(width) + phase) % 2).float().unsqueeze(0)


def rows_of_squares(shape: tuple[int, ...], phase: int) -> Tensor:
    """In a squeezed image the lower pixels of each 2×2 square, or the upper ones: (channels, 1, 1).

    The masks of the unsqueezed image separate the colours of the checkerboard. These cut each colour in half, so the
    two partitions are not redundant (Dinh et al. 2017, Section 3.6 and Figure 3 right).
    """
    chosen = torch.tensor([(row == 1) == (phase == 0) for row, _ in CORNERS])
    return chosen.repeat_interleave(shape[0] // len(CORNERS)).float().view(-1, 1, 1)


def scale_sizes(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Height and width of an image at all possible scales, from fine to coarse: both are halved while they are even."""
    found = [(shape[1], shape[2])]
    while all(side % 2 == 0 for side in found[-1]):
        found.append((found[-1][0] // 2, found[-1][1] // 2))
    return found


def num_scales(shape: tuple[int, ...], scales: int | None) -> int:
    """The number of scales: as given, or until the coarsest side is 4 to 7 (Dinh et al. 2017, Section 3.6).

    Raises:
        ValueError: the image cannot be halved that often.
    """
    possible = scale_sizes(shape)
    if scales is None:
        return sum(1 for at in possible[1:] if min(at) >= 4) + 1
    if not 1 <= scales <= len(possible):
        raise ValueError(
            f"scales={scales}, but {shape[1]}×{shape[2]} px can have 1 to {len(possible)} scales, each half as large; "
            "leave it at null"
        )
    return scales


class Residual(nn.Module):
    """h + f(h), where f is twice normalisation, ReLU and a 3×3 convolution.

    Args:
        width: number of channels.
        normalization: maker of the normalisation for a number of channels.
    """

    def __init__(self, width: int, normalization: Callable[[int], nn.Module]):
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [normalization(width), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)]
        self.body = nn.Sequential(*layers)

    def forward(self, h: Tensor) -> Tensor:
        """(n, width, h, w) → the same shape."""
        return h + self.body(h)


class RealNVP(Generator):
    """Latents (n, elements) ↔ data (n, *shape) by affine couplings, whose inverse gives the density of data.

    Vectors: fully connected couplings that alternate between even and odd elements. Images: each scale has couplings
    with checkerboard masks, a squeeze, and couplings that separate the rows of each 2×2 square; then one colour of the
    checkerboard, half of the channels, is factored out. The coarsest scale has checkerboard couplings only, one more of
    them. The networks are residual and convolutional, and their width doubles with each scale. ActNorm replaces the
    paper's batch norm, so that the density of a sample does not depend on its batch. Bounded data passes through a
    logit.

    Args:
        latent_dim: length of z, the number of elements of a sample.
        shape: shape of one sample, (dim,) or (channels, height, width).
        bounded: whether samples are images of bytes in [−1, 1], which are dequantised before their density is computed.
        couplings: for images, number of couplings at each scale with each kind of mask; for vectors, in all.
        width: units of hidden layers; for images, channels at the finest scale.
        depth: number of residual blocks of a coupling's network; for vectors, of hidden layers.
        scales: number of scales of images; None to halve them down to a side of 4 to 7.
        alpha: α of the logit, see `flows.Bounded`.
        norm: normalisation in the networks of couplings: none, layer or instance.
        weight_norm: reparametrisation of the weights of these networks, except the last layers, which start at zero.
        reference_size: not used.
        condition_dim: must be 0, since conditions are not supported.

    Raises:
        ValueError: an option is not supported, `latent_dim` is not the number of elements, or `scales` is too large.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        bounded: bool,
        couplings: int = 3,
        width: int = 32,
        depth: int = 2,
        scales: int | None = None,
        alpha: float = 0.05,
        norm: Norm = "none",
        weight_norm: WeightNorm = "none",
        reference_size: int = 64,
        condition_dim: int = 0,
    ):
        super().__init__(norm, reference_size, condition_dim)
        at_least_one(couplings=couplings, width=width, depth=depth)
        if norm not in ("none", "layer", "instance"):
            raise ValueError(
                f"with norm={norm} the output for a sample would depend on its batch, so the flow would have no "
                "density; choose norm=none or layer"
            )
        if condition_dim:
            raise ValueError("real_nvp takes no condition; choose model=mlp or dcgan, or game=gan")
        if latent_dim != elements(shape):
            raise ValueError(
                f"a flow needs one latent for each element of a sample: leave out model.latent.dim={latent_dim}, "
                f"or set it to {elements(shape)}"
            )
        self.latent_dim = latent_dim
        self.shape = tuple(shape)
        self.bounded = bounded
        self.couplings = couplings
        self.depth = depth
        self.weight_norm: WeightNorm = weight_norm
        flow = self.vector(width) if len(shape) == 1 else self.scale(self.shape, num_scales(shape, scales), width)
        self.flow = Composition(flow, Bounded(alpha)) if bounded else flow

    def vector(self, width: int) -> Invertible:
        """A flow of vectors."""
        return self.coupling_layers(self.shape, alternating, self.couplings, width)

    def scale(self, shape: tuple[int, ...], scales: int, width: int) -> Invertible:
        """A flow of images of this shape with the given number of scales."""
        channels, height, wide = shape
        if scales == 1:
            return Composition(Flatten(shape), self.coupling_layers(shape, checkerboard, self.couplings + 1, width))
        squeezed = (4 * channels, height // 2, wide // 2)
        return MultiScale(
            shape,
            fine=self.coupling_layers(shape, checkerboard, self.couplings, width),
            coarse=self.coupling_layers(squeezed, rows_of_squares, self.couplings, 2 * width),
            rest=self.scale((2 * channels, height // 2, wide // 2), scales - 1, 2 * width),
        )

    def coupling_layers(self, shape: tuple[int, ...], mask: Mask, count: int, width: int) -> Composition:
        """Couplings with alternating masks, each with ActNorm on its data side."""
        steps: list[Invertible] = []
        for number in range(count):
            network = self.network(shape[0], width, spatial=len(shape) == 3)
            steps += [
                Coupling(mask(shape, number % 2), network, shape[0]),
                ActNorm(shape[0], spatial=len(shape) == 3),
            ]
        return Composition(*steps)

    def network(self, channels: int, width: int, spatial: bool) -> nn.Module:
        """A network of a coupling, (n, channels, …) → (n, 2 · channels, …), whose initial output is zero."""
        body: nn.Module
        last: nn.Linear | nn.Conv2d
        if spatial:
            blocks = [Residual(width, lambda width: self.normalization(width, True)) for _ in range(self.depth)]
            body = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), *blocks, nn.ReLU())
            last = nn.Conv2d(width, 2 * channels, 3, padding=1)
        else:
            body = nn.Sequential(*hidden_layers(channels, width, self.depth, "relu", self.normalization))
            last = nn.Linear(width, 2 * channels)
        reparametrize(body, self.weight_norm)
        nn.init.zeros_(last.weight)
        assert last.bias is not None
        nn.init.zeros_(last.bias)
        return nn.Sequential(body, last)

    def forward(self, z: Tensor) -> Tensor:
        """Generate samples (n, *shape), clamped to [−1, 1] if data is bounded."""
        x = self.generate(z)
        return x.clamp(-1, 1) if self.bounded else x

    def generate(self, z: Tensor) -> Tensor:
        """Generate samples (n, *shape) without clamping: the inverse of `inverse`."""
        return self.flow(z)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data (n, *shape) → latents z (n, elements), and log|det dz/dx| (n,) in nats."""
        return self.flow.inverse(x)

    def dequantise(self, x: Tensor, place: Tensor) -> Tensor:
        """Data as the flow models it, (n, *shape). Bytes of images become points at `place`, 0 to 1, in their bins."""
        return dequantised(x, place) if self.bounded else x

    def encode(self, x: Tensor) -> Posterior:
        """q(z|x) of data (n, *shape). For images codes are of random points in the bins, the mean of their centres."""
        places = torch.rand_like(x), torch.full_like(x, 0.5)
        codes, middle = (self.inverse(self.dequantise(x, place))[0] for place in places)
        return Posterior(codes, middle)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log density (n,) of points (n, *shape), in nats, for latents N(0, I) (Dinh et al. 2017, Eq. 3)."""
        z, log_det = self.inverse(x)
        return log_det - (z.square() / 2 + math.log(2 * math.pi) / 2).sum(1)

    @torch.no_grad()
    def prepare(self, inputs: Tensor, data: Tensor) -> None:
        """Initialise ActNorm from data and weight norm from latents.

        Args:
            inputs: latents (n, elements).
            data: a batch of the dataset, (n, *shape).
        """
        super().prepare(inputs, data)
        norms = [module for module in self.modules() if isinstance(module, ActNorm)]
        for norm in norms:
            norm.fitting = True
        self.inverse(self.dequantise(data, torch.rand_like(data)))
        for norm in norms:
            norm.fitting = False
