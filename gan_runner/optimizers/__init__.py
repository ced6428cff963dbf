"""Optimizers for games that torch lacks: negative momentum, and optimistic gradients."""
