"""Metrics: figures of how good samples are.

A metric is a function of the `Results` of a game, which returns named floats. With `figures` it says for each
of them whether less (`min`) or more (`max`) is better; with `requires`, what it demands of the parts that play.
"""
