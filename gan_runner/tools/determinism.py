"""Make a run deterministic (`trainer.deterministic=true`): the same seed gives the same result.

On a CPU every run is deterministic if the number of threads is the same. On a GPU the fastest implementations of some
operations add in the order in which threads finish, and cuDNN selects the fastest implementation by timing them
(Zhuang et al. 2022, arXiv:2106.11872).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gan_runner.errors import ConfigError

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""The variable of the size of cuBLAS's workspace, read when CUDA starts. A fixed size makes cuBLAS deterministic."""


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Context in which every operation is deterministic or raises an error. Torch's options are restored afterwards.

    Args:
        wanted: if False, the context changes nothing.

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
                f"trainer.deterministic=true is not possible: {found[1]} has no deterministic implementation on this "
                "device; choose trainer.device=cpu, another part, or trainer.deterministic=false"
            ) from error
        raise
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.deterministic, cudnn.benchmark = cudnn_before
        if workspace is None:
            del os.environ[WORKSPACE]
