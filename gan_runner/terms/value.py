"""What a zero-sum game is worth, as the term of both players: one with weight 1, the other with −1."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from gan_runner.games.bilinear import BilinearTurn
from gan_runner.models.point import Point
from gan_runner.requirements import requires


def only_points(networks: Mapping[str, nn.Module]) -> None:
    """The player's networks must be points."""
    for name, network in networks.items():
        if not isinstance(network, Point):
            raise ValueError(f"model.{name} is a {type(network).__name__}, but game=bilinear needs model=point")


@requires(only_points)
def value(turn: BilinearTurn) -> Tensor:
    """The value of the game at the present point, a scalar."""
    return turn.value
