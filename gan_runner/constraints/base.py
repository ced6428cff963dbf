"""What a constraint may have besides what it does after an update."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import nn


@runtime_checkable
class KeepsAverages(Protocol):
    """A constraint that keeps averages of a player's networks, by name: samples are drawn from these."""

    averages: nn.ModuleDict
