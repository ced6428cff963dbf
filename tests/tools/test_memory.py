"""Free memory, of the machine and of a container."""

import sys

import psutil
import pytest
import torch

from gan_runner.tools import memory
from gan_runner.tools.memory import peak_memory_gb, reset_peak_memory

V2 = {"memory.max": "1000", "memory.current": "700", "memory.stat": "anon 100\ninactive_file 200\nactive_file 50"}
V1 = {"memory.limit_in_bytes": "1000", "memory.usage_in_bytes": "700", "memory.stat": "total_inactive_file 200"}


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content + "\n")


def free(tmp_path, own):
    """What is left in the groups of this process, as its list of groups says."""
    (tmp_path / "own").write_text(own)
    return list(memory.free_in_groups(tmp_path / "groups", tmp_path / "own"))


def test_a_container_leaves_what_its_limit_leaves_with_cached_files(tmp_path):
    write(tmp_path / "groups", V2)
    assert free(tmp_path, "0::/\n") == [500]


def test_every_group_around_a_process_limits_it(tmp_path):
    write(tmp_path / "groups" / "slurm", V2 | {"memory.max": "900"})
    write(tmp_path / "groups" / "slurm" / "job 1", V2 | {"memory.max": "max"})
    assert free(tmp_path, "0::/slurm/job 1\n") == [400]


def test_groups_of_version_one(tmp_path):
    write(tmp_path / "groups" / "memory", V1)
    write(tmp_path / "groups" / "cpu", V1)
    assert free(tmp_path, "4:memory:/outside/of/the/container\n3:cpu:/\n0::/\n") == [500]


def test_without_groups_the_machine_counts(tmp_path):
    assert list(memory.free_in_groups(tmp_path, tmp_path / "missing")) == []
    assert 2**20 < memory.free_memory(torch.device("cpu")) <= psutil.virtual_memory().total


def test_more_than_its_limit_leaves_nothing(tmp_path):
    write(tmp_path / "groups", V2 | {"memory.current": "1500"})
    assert free(tmp_path, "0::/\n") == [0]


def test_the_limit_of_a_container_counts_and_not_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "free_in_groups", lambda: iter([12_345]))
    assert memory.free_memory(torch.device("cpu")) == 12_345


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the peak of a process")
def test_the_peak_is_measured_anew():
    cpu = torch.device("cpu")
    large = torch.ones(100_000_000)  # 0.4 GB
    with_large = peak_memory_gb(cpu)
    del large
    assert peak_memory_gb(cpu) == pytest.approx(with_large, abs=0.05)
    reset_peak_memory()
    assert peak_memory_gb(cpu) < with_large - 0.3
