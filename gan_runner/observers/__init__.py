"""Observers: what looks at a running run.

Each is called after every step with its `StepEvent`. Observers that measure and draw come first and add to the event;
those that write down what the event holds come last, wherever they stand in the configuration.
"""
