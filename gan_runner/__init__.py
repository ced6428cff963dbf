"""Train, compare and teach generative adversarial networks from one command line."""

__version__ = "0.1.0"
