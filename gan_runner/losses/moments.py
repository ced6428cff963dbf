"""Moment matching: a distance between samples that needs no trained critic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gan_runner.losses.base import Identifies
from gan_runner.losses.kernels import Kernel, biased_mmd2, in_units, median_squared_distance, unbiased_mmd2, witness
from gan_runner.requirements import Requirement, several_samples
from gan_runner.tools.formulas import Symbols, formula, write


def squared_distance(loss: MMD, symbols: Symbols) -> str:
    """The formula of MMD²."""
    x, y = symbols["real_features"], symbols["fake_features"]
    units = ", in units of the median distance of data" if loss.median else ""
    symbols.define(f"k(a, b) = {write(loss.kernel, symbols)}{units}")
    return f"E[k({x}, {x.replace('x', 'x′')})] − 2 E[k({x}, {y})] + E[k({y}, {y.replace('z', 'z′')})]"


@dataclass(frozen=True)
class MMD:
    """Maximum mean discrepancy (Li et al. 2015, arXiv:1502.02761, Eq. 3; Dziugaite et al. 2015, arXiv:1505.03906).

    It compares samples and not scores; the kernel's witness function takes the place of the critic.

    Args:
        kernel: the kernel, a function of squared distances.
        median: whether to measure distances in units of the median distance between real samples.
        unbiased: whether to leave out pairs of a point with itself.
        root: whether to minimise the distance and not its square, whose gradient vanishes near zero (Li et al.,
            Section 3).
    """

    identifies: ClassVar[Identifies] = "potential"

    kernel: Kernel
    median: bool = False
    unbiased: bool = False
    root: bool = False

    def __post_init__(self) -> None:
        if self.root and self.unbiased:
            raise ValueError(
                "the unbiased estimate of MMD² may be negative, so it has no root; choose loss.unbiased=false or "
                "loss.root=false"
            )

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The median distance and the unbiased estimate are of pairs of different samples."""
        return (several_samples,) if self.median or self.unbiased else ()

    @formula(
        lambda loss, symbols: f"√({squared_distance(loss, symbols)})" if loss.root else squared_distance(loss, symbols)
    )
    def distance(self, real: Tensor, fake: Tensor) -> Tensor:
        """MMD² of data (n, dim) and fakes (m, dim), or its root: a scalar."""
        estimate = unbiased_mmd2 if self.unbiased else biased_mmd2
        squared = estimate(self.scaled(real), real, fake)
        return (squared.clamp(min=0) + 1e-12).sqrt() if self.root else squared

    def witness(self, points: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        """The witness function at points (k, dim): (k,); positive where data is denser, negative where fakes are."""
        return witness(self.scaled(real), points, real, fake)

    def scaled(self, real: Tensor) -> Callable[[Tensor], Tensor]:
        """The kernel; with `median`, in units of the median distance between these real samples."""
        return in_units(self.kernel, median_squared_distance(real)) if self.median else self.kernel
