"""The same seed, the same run: what torch is told where that is asked for.

On a CPU nothing need be told, as long as the number of threads is the same: random numbers are those of the seed, and
sums are taken in one order. On a GPU the fastest way to do some operations adds in whatever order its threads arrive,
and which of several ways is the fastest is found by trying (Zhuang et al. 2022, arXiv:2106.11872).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gan_runner.errors import ConfigError

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""cuBLAS reads it when CUDA starts; of fixed size, its workspace is the same each time."""


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Inside, an operation gives the same result every time, or is refused; afterwards all is as it was.

    Args:
        wanted: or nothing changes.

    Raises:
        ConfigError: an operation has no deterministic implementation.
    """
    if not wanted:
        yield
        return
    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn_before, workspace = (cudnn.deterministic, cudnn.benchmark), os.environ.get(WORKSPACE)
    os.environ.setdefault(WORKSPACE, ":4096:8")
    torch.use_deterministic_algorithms(True)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    except RuntimeError as error:
        if found := re.search(r"(\S+) does not have a deterministic implementation", str(error)):
            raise ConfigError(
                f"trainer.deterministic=true: {found[1]} has no deterministic implementation on this device; "
                "choose trainer.device=cpu, another part, or trainer.deterministic=false"
            ) from error
        raise
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.deterministic, cudnn.benchmark = cudnn_before
        if workspace is None:
            del os.environ[WORKSPACE]
