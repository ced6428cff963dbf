"""Learning-rate schedules: a factor as a function of the step, for torch's LambdaLR.

They are closed forms, so that a run that is resumed for more steps is on the longer schedule from its next step on.
"""

from __future__ import annotations

import math


def linear(step: int, steps: int) -> float:
    """From one at the start to zero after `steps`."""
    return max(0.0, 1 - step / steps)


def cosine(step: int, steps: int) -> float:
    """From one to zero after `steps`, along half a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983, Eq. 5)."""
    return (1 + math.cos(math.pi * min(1.0, step / steps))) / 2


def exponential(step: int, factor: float) -> float:
    """Multiplied by `factor` every step."""
    return factor**step


def constant(step: int) -> float:
    """One."""
    return 1.0
