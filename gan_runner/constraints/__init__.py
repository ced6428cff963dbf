"""Constraints: changes to a player's networks after each of its updates."""
