"""Data: what is real.

A dataset knows the `shape` of a sample and whether samples are `bounded` in [−1, 1] before any file is read;
`load` reads the files. Afterwards `batches` yields batches on a device, each a function of the seed and its
number alone, so that a resumed run sees the same data as one that was never stopped.
"""
