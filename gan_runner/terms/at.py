"""A term of a part of the game, such as one of several discriminators or one level of a pyramid."""

from __future__ import annotations

from torch import Tensor, nn

from gan_runner.players import Term
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

    def forward(self, turn: Turn) -> Tensor:
        """The term, a scalar."""
        return self.term(turn.part(self.part))
