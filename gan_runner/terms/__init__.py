"""Terms: scalars that a player minimises, as functions of its turn.

A term is a function. A term with state between moves is a `torch.nn.Module` that takes the player's networks, so that
checkpoints save its state. A term declares what it needs of the player's networks with `requires`.
"""
