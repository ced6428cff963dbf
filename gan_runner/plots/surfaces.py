"""What a critic makes of points, as pictures show it: a surface of scores, and a field of directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from gan_runner.losses.base import GivenScores
from gan_runner.sampling.critic import descends, has_unconditional_critic, identifies, sample_gradient, score
from gan_runner.system import System
from gan_runner.terms.adversarial import generator_loss


@dataclass(frozen=True)
class Surface:
    """A scalar at every point, as a critic sees it.

    Attributes:
        title: what it is.
        values: points (n, dim) → (n,).
        centred: whether its zero means something, and so is drawn white.
    """

    title: str
    values: Callable[[Tensor], Tensor]
    centred: bool = False


@dataclass(frozen=True)
class Field:
    """A direction at every point: where the generator's loss would move a sample.

    Attributes:
        title: what it is.
        arrows: points (n, dim) → (n, dim).
    """

    title: str
    arrows: Callable[[Tensor], Tensor]


def critic_surface(system: System) -> Surface | None:
    """What the critic makes of any point: the log density ratio where its loss implies one, else its score.

    None where there is no one surface: there is no critic, or it scores points beside conditions.
    """
    if not has_unconditional_critic(system):
        return None
    if identifies(system) in ("ratio", "relative"):
        return Surface("the critic's log ratio p/q", lambda x: system.loss.log_ratio(score(system, x)), centred=True)
    return Surface("the critic's score", partial(score, system))


def sample_gradient_field(system: System, real: Tensor, samples: Tensor) -> Field | None:
    """Where the generator's loss would move a fake, if it is a function of scores of points and is descended.

    That is −n ∂L/∂xᵢ for the mean loss L of n fakes: how a fake at x would move that is one among the `samples`
    (n, *shape), compared, where a loss does so, with the data `real` (n, *shape). Networks are in evaluation mode.
    """
    if not (descends(system, generator_loss) and has_unconditional_critic(system)):
        return None
    among = GivenScores(score(system, real), score(system, samples))
    return Field("−∇ of the generator's loss", lambda x: sample_gradient(system, x, among))
