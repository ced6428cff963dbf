"""The memory that this process may still use, and the most that a run has used."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import torch

GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
"""Where Linux shows the limits of control groups (of containers and of SLURM), and lists the groups of a process."""


def free_memory(device: torch.device) -> int:
    """Return the free memory of a device in bytes; on the CPU, no more than the limits of a container leave."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(psutil.virtual_memory().available, *free_in_groups())


def free_in_groups(root: Path = GROUPS, own: Path = OWN_GROUPS) -> Iterator[int]:
    """Yield what is left below the limit of each control group around this process, in bytes.

    Cached files count as free, because the kernel drops them when memory is needed.

    Args:
        root: the folder of all groups, of version 1 or 2.
        own: the file that lists the groups of this process.
    """
    with suppress(OSError):
        for line in own.read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if kinds in ("", "memory"):
                yield from free_in_group(root / kinds, path.strip("/"), 1 if kinds else 2)


def free_in_group(top: Path, path: str, version: int) -> Iterator[int]:
    """Yield what is left below the limit of a group and of each one around it, in bytes."""
    limit, used = {1: ("limit_in_bytes", "usage_in_bytes"), 2: ("max", "current")}[version]
    for folder in [top / path, *(top / path).parents]:
        with suppress(OSError, ValueError):  # no such file, or no limit
            allowed = int((folder / f"memory.{limit}").read_text())
            cached = [
                int(line.split()[1])
                for line in (folder / "memory.stat").read_text().splitlines()
                if line.startswith(("inactive_file ", "total_inactive_file "))
            ]
            yield max(allowed - int((folder / f"memory.{used}").read_text()) + max(cached, default=0), 0)


def reset_peak_memory() -> None:
    """Begin to measure the peak memory anew, as another run may have been in this process. On macOS it cannot be."""
    for number in range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0):
        torch.cuda.reset_peak_memory_stats(number)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # see proc(5)


def peak_memory_gb(device: torch.device) -> float:
    """Peak memory of the run so far, in 10⁹ bytes: allocated on the GPU, or resident on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    with suppress(OSError, ValueError):  # some containers do not show it
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
        return int(peak) * 1024 / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
