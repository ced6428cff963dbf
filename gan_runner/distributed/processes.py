"""Train one run with several processes, started by `torchrun`.

Each process computes the gradients of its own rows of every batch (`gan_runner.distributed.sharding`). Only the main
process, of rank 0, measures, draws pictures and writes files. CPU tensors are exchanged by gloo, GPU tensors by NCCL.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from gan_runner.errors import ConfigError, ProcessLost

if TYPE_CHECKING:
    from torch import Tensor


TIMEOUT = timedelta(minutes=30)
"""How long a process waits for another one, for example while the main process evaluates, before it gives up."""

GRACE = timedelta(seconds=20)
"""How long the other processes wait for the main one at the end; torchrun kills them after 30 s."""


FINAL = (2, 3)
"""Exit codes of bad input and of divergence, which a restart would only repeat."""


class SingleProcess:
    """A run of one process. `Group` overrides these methods for several processes.

    Attributes:
        restarts: how often torchrun has restarted this run.
    """

    rank = 0
    size = 1
    restarts = 0

    @property
    def is_main(self) -> bool:
        """Whether this is the main process, which measures, draws pictures and writes files."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """The device for `trainer.device=NAME` in this process."""
        return name

    def rows(self, size: int) -> slice:
        """The rows of a batch of this size that this process trains on."""
        return slice(None)

    def sharded(self) -> AbstractContextManager[None]:
        """Context in which batches are divided: networks and losses see the rows of this process."""
        return nullcontext()

    def main_first(self) -> AbstractContextManager[None]:
        """Context that the main process leaves before the others enter it, so that only it downloads data."""
        return nullcontext()

    def first(self, key: str, value: str) -> str:
        """The first value that the main process had for this key, also before torchrun restarted the run."""
        return value

    def all_reduce_max(self, number: int) -> int:
        """The maximum over all processes, exchanged between CPUs."""
        return number

    def all_reduce_mean(self, values: Tensor) -> Tensor:
        """The mean over all processes, elementwise; may write to `values`."""
        return values

    def check_same_start(self, step: int, weights: list[Tensor]) -> None:
        """Check that all processes start at the same step with the same weights."""

    def first_failure(self, line: str, code: int) -> tuple[str, int]:
        """The error line and exit code of the process that failed first; the given ones if none has reported any."""
        return line, code

    def claim_message(self, line: str, code: int) -> bool:
        """Whether this process should print an error line: no other process has printed the same one."""
        return True

    def record_exit(self, code: object) -> None:
        """Store the exit code, in case a restart would repeat the failure."""

    def leave(self) -> None:
        """Close the connections."""


class Launched(SingleProcess):
    """A process that torchrun has started, and starts again if it fails.

    Args:
        environment: the environment variables that torchrun sets.

    Attributes:
        lasting: what torchrun keeps for the run over its restarts.
        store: what it keeps until the next restart.
    """

    def __init__(self, environment: dict[str, str]):
        import torch.distributed as dist

        self.dist = dist
        self.rank = int(environment["RANK"])
        self.size = int(environment["WORLD_SIZE"])
        self.local_rank = int(environment["LOCAL_RANK"])
        self.restarts = int(environment.get("TORCHELASTIC_RESTART_COUNT", 0))
        store, *_ = next(dist.rendezvous("env://", timeout=TIMEOUT))
        self.lasting = dist.PrefixStore(f"gan_runner/{environment.get('TORCHELASTIC_RUN_ID', '')}", store)
        self.store = dist.PrefixStore(f"gan_runner/{self.restarts}", store)
        if self.lasting.check(["failure"]):
            sys.exit(int(self.lasting.get("failure")))

    def first(self, key: str, value: str) -> str:
        """The first value that the main process had for this key, also before torchrun restarted the run."""
        if self.is_main:
            self.lasting.compare_set(key, "", value)
        return self.lasting.get(key).decode()

    def record_exit(self, code: object) -> None:
        """Store the exit code of a failure that a restart would repeat; the restarts then end with it at once."""
        if code in FINAL:
            with suppress(RuntimeError):  # the machine that hosts the store may be gone
                self.lasting.set("failure", str(code))


class Group(Launched):
    """One of several processes of a run.

    Args:
        environment: the environment variables that torchrun sets.
    """

    def __init__(self, environment: dict[str, str]):
        import torch

        super().__init__(environment)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        self.dist.init_process_group(backend, store=self.store, rank=self.rank, world_size=self.size, timeout=TIMEOUT)

    def device(self, name: str) -> str:
        """The GPU of this process, or the CPU if `auto` finds no GPU.

        Raises:
            ConfigError: there are fewer GPUs than processes, or one GPU was chosen for all processes.
        """
        import torch

        if name == "auto" and not torch.cuda.is_available():
            return "cpu"
        if name.startswith("cuda:"):
            raise ConfigError(
                f"trainer.device={name} is one GPU, but there are {self.size} processes; choose trainer.device=auto"
            )
        if name not in ("auto", "cuda"):
            return name
        if self.local_rank >= torch.cuda.device_count():
            raise ConfigError(
                f"there are more processes than the {torch.cuda.device_count()} GPUs of this machine; start fewer "
                "(torchrun --nproc-per-node), or choose trainer.device=cpu"
            )
        torch.cuda.set_device(self.local_rank)
        return f"cuda:{self.local_rank}"

    def rows(self, size: int) -> slice:
        """The rows of a batch of this size that this process trains on."""
        from gan_runner.distributed.sharding import rows

        return rows(size, self.size, self.rank)

    def sharded(self) -> AbstractContextManager[None]:
        """Context in which batches are divided: networks and losses see the rows of this process."""
        from gan_runner.distributed.sharding import sharded

        return sharded(self.size, self.rank)

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Context that the main process leaves before the others enter it, so that only it downloads data.

        Raises:
            ProcessLost: the main process failed.
        """
        if not self.is_main:
            self.all_reduce_max(0)
        yield
        if self.is_main:
            self.all_reduce_max(0)

    def all_reduce_max(self, number: int) -> int:
        """The maximum over all processes, exchanged between CPUs.

        Raises:
            ProcessLost: another process does not respond.
        """
        import torch

        numbers = torch.tensor([number])
        self.exchange(lambda: self.dist.all_reduce(numbers, self.dist.ReduceOp.MAX))
        return int(numbers[0])

    def all_reduce_mean(self, values: Tensor) -> Tensor:
        """The mean over all processes, elementwise; may write to `values`."""
        self.exchange(lambda: self.dist.all_reduce(values))
        return values / self.size

    def check_same_start(self, step: int, weights: list[Tensor]) -> None:
        """Check that all processes start at the same step with the same weights.

        Raises:
            ConfigError: they do not.
        """
        digest = hashlib.sha256(str(step).encode())
        for tensor in weights:
            digest.update(tensor.detach().cpu().numpy().tobytes())
        own, digests = digest.hexdigest(), [""] * self.size
        self.exchange(lambda: self.dist.all_gather_object(digests, own))
        if set(digests) != {own}:
            raise ConfigError(
                "the processes of this run start with different weights or steps; give all of them the same run "
                "directory, data and package versions"
            )

    def exchange(self, action: Callable[[], Any]) -> None:
        """Run a collective operation.

        Raises:
            ProcessLost: another process does not respond.
        """
        try:
            action()
        except RuntimeError as error:
            raise ProcessLost from error

    def first_failure(self, line: str, code: int) -> tuple[str, int]:
        """The error line and exit code of the process that failed first; the given ones if none has reported any."""
        with suppress(RuntimeError):
            if self.store.check(["failure"]):
                line, code = json.loads(self.store.get("failure"))
        return line, code

    def claim_message(self, line: str, code: int) -> bool:
        """Whether this process should print an error line: no other process has printed the same one."""
        with suppress(RuntimeError):
            self.store.compare_set("failure", "", json.dumps([line, code]))
            return self.store.add(f"printed/{line}", 1) == 1
        return True

    def leave(self) -> None:
        """Close the connections. The main process ends first, because torchrun kills all others when one has ended."""
        self.dist.destroy_process_group()
        with suppress(RuntimeError):  # the machine that hosts the store may be gone
            if self.is_main:
                self.store.set("ended", "")
            else:
                self.store.wait(["ended"], GRACE)


present = SingleProcess()
"""The processes of the current run."""


def join() -> None:
    """Join the other processes, if torchrun started this one."""
    global present
    if started_by_torchrun() and int(os.environ["WORLD_SIZE"]) > 1:
        present = Group(dict(os.environ))
    elif started_by_torchrun() and "TORCHELASTIC_RUN_ID" in os.environ:
        present = Launched(dict(os.environ))


def is_first() -> bool:
    """Whether this is the only process, or the first of those that torchrun started."""
    return not started_by_torchrun() or os.environ["RANK"] == "0"


def started_by_torchrun() -> bool:
    """Whether torchrun, or something that sets the same environment variables, started this process."""
    return all(name in os.environ for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"))


def leave() -> None:
    """Close the connections. From now on this is a single process."""
    global present
    present.leave()
    present = SingleProcess()
