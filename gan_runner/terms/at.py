"""A term of a part of the game, such as one of several discriminators or one level of a pyramid."""

from __future__ import annotations

from torch import Tensor, nn

from gan_runner.games.base import HasParts
from gan_runner.players import Term
from gan_runner.requirements import OwnedNetworks
from gan_runner.tools.formulas import formula, write
from gan_runner.turn import Turn


@formula(lambda term, symbols: write(term.term, symbols.part(term.part)))
class At(nn.Module):
    """Apply a term to the turn of a part, so that every loss and penalty works for every part of a game.

    Args:
        part: the name of the part in the game's `parts`.
        term: the term. If it is stateful, it takes the player's networks in that part.
    """

    def __init__(self, part: str, term: Term):
        super().__init__()
        self.part = part
        self.term = term

    def select(self, networks: OwnedNetworks) -> OwnedNetworks:
        """The player's networks in that part.

        Raises:
            ValueError: the game has no such part.
        """
        parts = networks.game.parts if isinstance(networks.game, HasParts) else {}
        if self.part not in parts:
            raise ValueError(f"this game has no part {self.part}; its parts are: {', '.join(parts) or 'none'}")
        part = parts[self.part]
        return OwnedNetworks(part.select(networks), part.game, part.select(networks.others), networks.batch_size)

    def forward(self, turn: Turn) -> Tensor:
        """The value of the term, a scalar."""
        return self.term(turn.part(self.part))
