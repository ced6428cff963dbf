"""A critic in pictures: a surface of scores or log ratios, and a field of gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from gan_runner.losses.base import GivenScores
from gan_runner.sampling.critic import descends, has_unconditional_critic, identifies, sample_gradient, score
from gan_runner.system import System, eval_mode
from gan_runner.terms.adversarial import generator_loss


@dataclass(frozen=True)
class Surface:
    """A scalar function of points that the critic defines.

    Attributes:
        title: title of the picture.
        values: points (n, dim) → (n,).
        centred: whether zero is meaningful, and so is drawn white.
    """

    title: str
    values: Callable[[Tensor], Tensor]
    centred: bool = False


@dataclass(frozen=True)
class Field:
    """A vector field: the direction in which the generator's loss moves a sample.

    Attributes:
        title: title of the picture.
        arrows: points (n, dim) → (n, dim).
    """

    title: str
    arrows: Callable[[Tensor], Tensor]


def critic_surface(system: System) -> Surface | None:
    """Return the log density ratio if the critic implies one, else the critic's score.

    None if there is no unconditional critic.
    """
    if not has_unconditional_critic(system):
        return None
    values = partial(score, system, mode=eval_mode)
    if identifies(system) in ("ratio", "relative"):
        return Surface("the critic's log ratio p/q", lambda x: system.loss.log_ratio(values(x)), centred=True)
    return Surface("the critic's score", values)


def sample_gradient_field(system: System, real: Tensor, samples: Tensor) -> Field | None:
    """Return the direction in which the generator's loss moves a fake, if the loss is minimised and the critic is
    unconditional, else None.

    It is −n ∂L/∂xᵢ for the mean loss L of n fakes, for a fake at x among the `samples` (n, *shape); relativistic losses
    also use the data `real` (n, *shape). Networks are in evaluation mode.
    """
    if not (descends(system, generator_loss) and has_unconditional_critic(system)):
        return None
    among = GivenScores(score(system, real), score(system, samples))
    return Field("−∇ of the generator's loss", lambda x: sample_gradient(system, x, among))
