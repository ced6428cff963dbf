"""The peak memory of a run is its own, and not that of an earlier run in the same process."""

import sys

import pytest
import torch

from gan_runner.runs.run import peak_memory_gb, reset_peak_memory


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the peak of a process")
def test_the_peak_is_measured_anew():
    cpu = torch.device("cpu")
    large = torch.ones(100_000_000)  # 0.4 GB
    with_large = peak_memory_gb(cpu)
    del large
    assert peak_memory_gb(cpu) == pytest.approx(with_large, abs=0.05)
    reset_peak_memory()
    assert peak_memory_gb(cpu) < with_large - 0.3
