"""Metrics: how good samples are, in numbers.

A metric is a function of `Results` that returns named floats. `directions` declares whether a lower (`min`) or higher
(`max`) value is better; `requires` lists what the metric needs of the system.
"""
