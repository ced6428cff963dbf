"""Real NVP: a generator with an inverse and a density (Dinh et al. 2017, arXiv:1605.08803)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gan_runner.datasets.images import dequantised
from gan_runner.models.encoders import Posterior
from gan_runner.models.flows import ActNorm, Bounded, Coupling, Flatten, Invertible, MultiScale, Steps
from gan_runner.models.layers.normalization import Norm, WeightNorm, reparametrize
from gan_runner.models.mlp import hidden_layers
from gan_runner.models.networks import Generator, elements
from gan_runner.models.sizes import at_least_one

Mask = Callable[[tuple[int, ...], int], Tensor]
"""The shape of one sample, 0 or 1 → ones and zeros of a shape that spreads over it; for 1 the others."""


def alternating(shape: tuple[int, ...], phase: int) -> Tensor:
    """Every other element of a vector: (dim,)."""
    return ((torch.arange(shape[0]) + phase) % 2).float()


def chessboard(shape: tuple[int, ...], phase: int) -> Tensor:
    """Every other pixel, in all channels: (1, height, width) (Dinh et al. 2017, Figure 3 left)."""
    _, height, width = shape
    return ((torch.arange(height).unsqueeze(1) + torch.arange(width) + phase) % 2).float().unsqueeze(0)


def halves(shape: tuple[int, ...], phase: int) -> Tensor:
    """The first half of the channels, or the second: (channels, 1, 1) (Dinh et al. 2017, Figure 3 right)."""
    channels = shape[0]
    return ((torch.arange(channels) < channels // 2) == (phase == 0)).float().view(-1, 1, 1)


def sides(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Height and width of an image at each scale that it can have, from fine to coarse, halved while both are even."""
    found = [(shape[1], shape[2])]
    while all(side % 2 == 0 for side in found[-1]):
        found.append((found[-1][0] // 2, found[-1][1] // 2))
    return found


def scales_of(shape: tuple[int, ...], scales: int | None) -> int:
    """How many scales: as chosen, or until the coarsest has a side of 4 to 7 (Dinh et al. 2017, Section 3.6).

    Raises:
        ValueError: an image does not halve so often.
    """
    possible = sides(shape)
    if scales is None:
        return sum(1 for at in possible[1:] if min(at) >= 4) + 1
    if not 1 <= scales <= len(possible):
        raise ValueError(
            f"scales={scales}, and {shape[1]}×{shape[2]} px have 1 to {len(possible)}, as often as they halve; "
            "leave it at null"
        )
    return scales


class Residual(nn.Module):
    """h + f(h), f being two times normalisation, ReLU and a 3×3 convolution.

    Args:
        width: channels.
        normalization: channels → a layer.
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
    """Latents (n, elements) → data (n, *shape), by affine couplings; and the way back, which gives the density of data.

    Vectors: couplings that alternate between even and odd elements, by fully connected networks. Images: at each scale
    couplings by chessboard masks, a squeeze, couplings by halves of the channels, half of which is factored out; at the
    coarsest scale those by chessboard masks, one more of them. Their networks are residual and convolutional, and twice
    as wide a scale. Between couplings there is ActNorm in place of the paper's batch norm: the density of a sample
    depends on no other of its batch. Bounded data is modelled behind a logit.

    Args:
        latent_dim: of z, as many as one sample has elements.
        shape: of one sample, (dim,) or (channels, height, width).
        bounded: whether data is of bytes, and lies in [−1, 1]: then it is dequantised to be scored.
        couplings: of images, at each scale with either mask; of vectors, all.
        width: units of hidden layers; of images, channels at the finest scale.
        depth: residual blocks of a coupling's network; of vectors, hidden layers.
        scales: of images; None for as many as lead to a side of 4 to 7.
        alpha: of the logit, see `flows.Bounded`.
        norm: normalisation inside the networks of couplings: none, or such as looks at one sample.
        weight_norm: reparametrisation of the weights of these networks but for the last layer's, which start at zero.
        reference_size: of `norm=virtual`, which is refused.
        condition_dim: length of a condition, which is refused.

    Raises:
        ValueError: an option is refused, latents are not as many as elements, or a side does not halve so often.
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
                f"norm={norm} would make what a flow makes of a sample depend on others, and it has no density then; "
                "choose norm=none or layer"
            )
        if condition_dim:
            raise ValueError("a flow takes no condition here; choose model=mlp or dcgan, or game=gan")
        if latent_dim != elements(shape):
            raise ValueError(
                f"a flow takes one latent for each element of a sample: leave out model.latent.dim={latent_dim}, "
                f"or set it to {elements(shape)}"
            )
        self.latent_dim = latent_dim
        self.shape = tuple(shape)
        self.bounded = bounded
        self.couplings = couplings
        self.depth = depth
        self.weight_norm: WeightNorm = weight_norm
        flow = self.vector(width) if len(shape) == 1 else self.scale(self.shape, scales_of(shape, scales), width)
        self.flow = Steps(flow, Bounded(alpha)) if bounded else flow

    def vector(self, width: int) -> Invertible:
        """A flow of vectors."""
        return self.coupled(self.shape, alternating, self.couplings, width)

    def scale(self, shape: tuple[int, ...], scales: int, width: int) -> Invertible:
        """A flow of images of this shape: so many scales from it on."""
        channels, height, wide = shape
        if scales == 1:
            return Steps(Flatten(shape), self.coupled(shape, chessboard, self.couplings + 1, width))
        squeezed = (4 * channels, height // 2, wide // 2)
        return MultiScale(
            shape,
            fine=self.coupled(shape, chessboard, self.couplings, width),
            coarse=self.coupled(squeezed, halves, self.couplings, 2 * width),
            rest=self.scale((2 * channels, height // 2, wide // 2), scales - 1, 2 * width),
        )

    def coupled(self, shape: tuple[int, ...], mask: Mask, count: int, width: int) -> Steps:
        """Couplings with masks by turns, ActNorm on that side of each where data comes from."""
        steps: list[Invertible] = []
        for number in range(count):
            network = self.network(shape[0], width, spatial=len(shape) == 3)
            steps += [
                Coupling(mask(shape, number % 2), network, shape[0]),
                ActNorm(shape[0], spatial=len(shape) == 3),
            ]
        return Steps(*steps)

    def network(self, channels: int, width: int, spatial: bool) -> nn.Module:
        """(n, channels, …) → (n, 2 · channels, …), zero at first."""
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
        """Generate (n, *shape), cut to [−1, 1] where data is bounded so."""
        x = self.generate(z)
        return x.clamp(-1, 1) if self.bounded else x

    def generate(self, z: Tensor) -> Tensor:
        """Generate (n, *shape), as it comes: the inverse of `inverse`."""
        return self.flow(z)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data (n, *shape) → its latents z (n, elements), and log|det dz/dx| (n,) in nats."""
        return self.flow.inverse(x)

    def in_bins(self, x: Tensor, place: Tensor) -> Tensor:
        """Data as it is modelled, both (n, *shape): of images, where in the bin of each byte, from 0 to 1."""
        return dequantised(x, place) if self.bounded else x

    def encode(self, x: Tensor) -> Posterior:
        """q(z|x) of data (n, *shape): of images, what they may be in their bins, for which the middle stands."""
        places = torch.rand_like(x), torch.full_like(x, 0.5)
        codes, middle = (self.inverse(self.in_bins(x, place))[0] for place in places)
        return Posterior(codes, middle)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log density (n,) of points (n, *shape), in nats, for latents N(0, I) (Dinh et al. 2017, Eq. 3)."""
        z, log_det = self.inverse(x)
        return log_det - (z.square() / 2 + math.log(2 * math.pi) / 2).sum(1)

    @torch.no_grad()
    def prepare(self, inputs: Tensor, data: Tensor) -> None:
        """Data-dependent initialisation: of ActNorm on data, of weight norm on latents.

        Args:
            inputs: latents (n, elements).
            data: a batch of the dataset, (n, *shape).
        """
        super().prepare(inputs, data)
        norms = [module for module in self.modules() if isinstance(module, ActNorm)]
        for norm in norms:
            norm.fitting = True
        self.inverse(self.in_bins(data, torch.rand_like(data)))
        for norm in norms:
            norm.fitting = False
