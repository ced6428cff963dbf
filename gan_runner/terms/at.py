"""A term of a part of the game, such as one of several discriminators or one level of a pyramid."""

from __future__ import annotations

from torch import Tensor, nn

from gan_runner.games.base import HasParts
from gan_runner.players import Term
from gan_runner.requirements import OwnedNetworks
from gan_runner.turn import Turn


class At(nn.Module):
    """What a term makes of the turn of a part: so losses and penalties serve every part of a game as they are.

    Args:
        part: its name, as the game has it in `parts`.
        term: of the part's turn. One that remembers something is built on the player's networks in that part.
    """

    def __init__(self, part: str, term: Term):
        super().__init__()
        self.part = part
        self.term = term

    def select(self, networks: OwnedNetworks) -> OwnedNetworks:
        """The player's networks in that part.

        Raises:
            ValueError: the game does not have the part.
        """
        parts = networks.game.parts if isinstance(networks.game, HasParts) else {}
        if self.part not in parts:
            raise ValueError(f"this game has no part {self.part}; it has {', '.join(parts) or 'none'}")
        part = parts[self.part]
        return OwnedNetworks(part.select(networks), part.game, part.select(networks.others))

    def forward(self, turn: Turn) -> Tensor:
        """The term, a scalar."""
        return self.term(turn.part(self.part))
