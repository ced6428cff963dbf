"""Several processes that train one run: how they find each other, agree, speak with one voice, and end together.

`torchrun` starts them, and tells each by its environment who it is. What they compute is in
`gan_runner.distributed.sharding`. The first process leads: it alone observes the run and writes. CPU tensors go by
gloo, those on GPUs by NCCL.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from gan_runner.errors import ConfigError, ProcessLost

if TYPE_CHECKING:
    from torch import Tensor


TIMEOUT = timedelta(minutes=30)
"""So long a process waits for another that is alive, as for the leader's evaluation, before it gives up."""


GRACE = timedelta(seconds=20)
"""So long a process that has ended waits for the leader to end, within the 30 s after which torchrun kills."""


class Alone:
    """One process, which agrees with itself."""

    rank = 0
    size = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes, draws and measures."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """The device that `auto` or `cuda` means here."""
        return name

    def rows(self, size: int) -> slice:
        """Which rows of a batch are this process's."""
        return slice(None)

    def sharded(self) -> AbstractContextManager[None]:
        """Inside, the rows of a batch are shared out."""
        return nullcontext()

    def leader_first(self) -> AbstractContextManager[None]:
        """Inside, the leader is done before the others begin, as with a download that all of them need."""
        return nullcontext()

    def leaders(self, key: str, value: str) -> str:
        """What the leader has under this key, for which this process has `value`."""
        return value

    def largest(self, number: int) -> int:
        """Over all processes. Nothing is fetched from a GPU."""
        return number

    def mean(self, values: Tensor) -> Tensor:
        """Over all processes, elementwise."""
        return values

    def check_alike(self, step: int, weights: list[Tensor]) -> None:
        """Whether all processes begin at the same step, with the same weights."""

    def cause(self, line: str, code: int) -> tuple[str, int]:
        """What another process said before it was lost, and its exit code; else these."""
        return line, code

    def may_say(self, line: str, code: int) -> bool:
        """Whether an error, with its exit code, is still to be said: what one process says, no other repeats."""
        return True

    def leave(self) -> None:
        """The end."""


class Group(Alone):
    """One of several processes.

    Args:
        environment: of torchrun.
    """

    def __init__(self, environment: dict[str, str]):
        import torch
        import torch.distributed as dist

        self.dist = dist
        self.rank = int(environment["RANK"])
        self.size = int(environment["WORLD_SIZE"])
        self.local_rank = int(environment["LOCAL_RANK"])
        self.store, *_ = next(dist.rendezvous("env://", timeout=TIMEOUT))
        self.store = dist.PrefixStore(f"gan_runner/{environment.get('TORCHELASTIC_RESTART_COUNT', 0)}", self.store)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, store=self.store, rank=self.rank, world_size=self.size, timeout=TIMEOUT)

    def device(self, name: str) -> str:
        """A GPU each; `auto` without GPUs is the CPU.

        Raises:
            ConfigError: there are too few, or all were given the same one.
        """
        import torch

        if name == "auto" and not torch.cuda.is_available():
            return "cpu"
        if name.startswith("cuda:"):
            raise ConfigError(f"trainer.device={name} is one GPU for {self.size} processes; choose auto")
        if name not in ("auto", "cuda"):
            return name
        if self.local_rank >= torch.cuda.device_count():
            raise ConfigError(
                f"there are {torch.cuda.device_count()} GPUs here for more processes; "
                "start fewer (torchrun --nproc-per-node), or choose trainer.device=cpu"
            )
        torch.cuda.set_device(self.local_rank)
        return f"cuda:{self.local_rank}"

    def rows(self, size: int) -> slice:
        """Which rows of a batch are this process's."""
        from gan_runner.distributed.sharding import rows

        return rows(size, self.size, self.rank)

    def sharded(self) -> AbstractContextManager[None]:
        """Inside, the rows of a batch are shared out."""
        from gan_runner.distributed.sharding import sharded

        return sharded(self.size, self.rank)

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """Inside, the leader is done before the others begin, as with a download that all of them need.

        Raises:
            ProcessLost: the leader failed.
        """
        if not self.leads:
            self.largest(0)
        yield
        if self.leads:
            self.largest(0)

    def leaders(self, key: str, value: str) -> str:
        """What the leader has under this key, for which this process has `value`."""
        if self.leads:
            self.store.set(key, value)
        return self.store.get(key).decode()

    def largest(self, number: int) -> int:
        """Over all processes, by way of the CPU.

        Raises:
            ProcessLost: one of them does not answer.
        """
        import torch

        numbers = torch.tensor([number])
        self.exchange(lambda: self.dist.all_reduce(numbers, self.dist.ReduceOp.MAX))
        return int(numbers[0])

    def mean(self, values: Tensor) -> Tensor:
        """Over all processes, elementwise."""
        self.exchange(lambda: self.dist.all_reduce(values))
        return values / self.size

    def check_alike(self, step: int, weights: list[Tensor]) -> None:
        """Whether all processes begin at the same step, with the same weights.

        Raises:
            ConfigError: they do not.
        """
        digest = hashlib.sha256(str(step).encode())
        for tensor in weights:
            digest.update(tensor.detach().cpu().numpy().tobytes())
        mine, all_of_them = digest.hexdigest(), [""] * self.size
        self.exchange(lambda: self.dist.all_gather_object(all_of_them, mine))
        if set(all_of_them) != {mine}:
            raise ConfigError(
                "the processes of this run do not begin with the same weights at the same step; "
                "all of them must see the same run directory, data and versions"
            )

    def exchange(self, action: Callable[[], Any]) -> None:
        """Do something with all other processes.

        Raises:
            ProcessLost: one of them does not answer.
        """
        try:
            action()
        except RuntimeError as error:
            raise ProcessLost from error

    def cause(self, line: str, code: int) -> tuple[str, int]:
        """What another process said before it was lost, and its exit code; else these."""
        with suppress(RuntimeError):
            if self.store.check(["failure"]):
                line, code = json.loads(self.store.get("failure"))
        return line, code

    def may_say(self, line: str, code: int) -> bool:
        """Whether an error, with its exit code, is still to be said: what one process says, no other repeats."""
        with suppress(RuntimeError):
            self.store.compare_set("failure", "", json.dumps([line, code]))
            return self.store.add(f"said/{line}", 1) == 1
        return True

    def leave(self) -> None:
        """Close the connections, at which the others notice; the leader ends first, for torchrun ends all with one."""
        self.dist.destroy_process_group()
        with suppress(RuntimeError):  # the store may be gone with the machine that kept it
            if self.leads:
                self.store.set("ended", "")
            else:
                self.store.wait(["ended"], GRACE)


present = Alone()


def join() -> None:
    """Become one of several processes, if torchrun says so."""
    global present
    needed = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    if all(name in os.environ for name in needed) and int(os.environ["WORLD_SIZE"]) > 1:
        present = Group(dict(os.environ))


def leave() -> None:
    """Be alone again."""
    global present
    present.leave()
    present = Alone()
