"""Observers: metrics, pictures, logs and checkpoints of a run in progress.

Each observer is called after every step with its `StepEvent`. Observers that measure or draw are called first and add
to the event. Observers that write the event to a file or service are called last, whatever the order in the
configuration.
"""
