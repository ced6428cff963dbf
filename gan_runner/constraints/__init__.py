"""Constraints: what happens to a player's networks after each of its updates."""
