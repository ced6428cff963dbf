"""The value of a zero-sum game, a term of both players: with weight 1 for one and −1 for the other."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from gan_runner.games.bilinear import BilinearTurn
from gan_runner.models.point import Point
from gan_runner.requirements import requires
from gan_runner.tools.formulas import formula


def only_points(networks: Mapping[str, nn.Module]) -> None:
    """Check that the player's networks are points."""
    for name, network in networks.items():
        if not isinstance(network, Point):
            raise ValueError(
                f"game=bilinear plays with points, but model.{name} is a {type(network).__name__}; choose model=point"
            )


@requires(only_points)
@formula("{value}")
def value(turn: BilinearTurn) -> Tensor:
    """The value of the game at the current point, a scalar."""
    return turn.value
