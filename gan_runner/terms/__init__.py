"""Terms: scalars that a player descends, as functions of its turn.

A term is a function; it is a class (a `torch.nn.Module`, built on the player's networks) only if it remembers
something from move to move, so that a checkpoint keeps what it remembers. What a term demands of a player's
networks it says with `requires`.
"""
