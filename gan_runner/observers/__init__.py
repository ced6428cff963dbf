"""Observers: what looks at a running run.

Each is called after every step with the `Moment`, in the order of the configuration: first those that measure and draw,
which add to the moment; then those that write down what the moment holds, wherever they stand.
"""
