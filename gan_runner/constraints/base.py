"""Protocols of constraints."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import nn


@runtime_checkable
class KeepsAverages(Protocol):
    """A constraint with averaged copies of a player's networks, by name, that samples are drawn from."""

    averages: nn.ModuleDict
