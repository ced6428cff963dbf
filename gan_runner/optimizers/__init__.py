"""Optimizers for games, beside those of torch: negative momentum, and optimism."""
