"""Datasets: where real samples come from.

A dataset knows the `shape` of a sample and whether samples are `bounded` in [−1, 1] before any file is read. `load`
reads the files. `stream` then yields batches on a device. Each batch depends only on the seed and its number, so a
resumed run sees the same data as a run that was never stopped.
"""
