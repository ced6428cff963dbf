"""Contestants of `benchmark.py`: gan-runner and hand-written loops. Other packages are in `peers.py`.

Every contestant has its own networks with the same initial weights, the same batches, and the optimizer of the game's
configuration. Noise is drawn by `torch.randn` when it is needed.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from hydra.utils import get_object
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus
from torch.optim.optimizer import register_optimizer_step_post_hook

from gan_runner import compile as compilation
from gan_runner.build import build_system
from gan_runner.config.compose import compose_config
from gan_runner.config.resolve import register, resolve
from gan_runner.tools.determinism import deterministic

BATCHES = 16  # distinct batches, repeated in a cycle


class NotSupported(Exception):  # noqa: N818
    """A contestant is not installed, or cannot train a game."""


@dataclass(frozen=True)
class Game:
    """A configuration to train, by overrides as a user types them."""

    title: str
    overrides: tuple[str, ...]
    large: bool = False  # for a GPU; left out unless it is named


def game(title: str, *overrides: str, large: bool = False) -> Game:
    """A game on random data; its dataset only gives the shape."""
    return Game(title, (*overrides, "scheduler=constant", "metric=[]", "objective=null"), large)


def mlp(width: int, size: int) -> tuple[str, ...]:
    widths = (f"model.generator.width={width}", f"model.discriminator.width={width}")
    return ("dataset=ring8", "model=mlp", "model.latent.dim=8", f"trainer.batch_size={size}", *widths)


def images(side: int, size: int) -> tuple[str, ...]:
    data = ("dataset=digits", "dataset.channels=3", f"dataset.image_size={side}")
    return (*data, "model=dcgan", f"trainer.batch_size={size}")


ONE_UPDATE = ("loss=wgan_gp", "players.discriminator.updates=1")
GAMES = {
    "tiny": game("MLP, width 16, batch 32", *mlp(16, 32)),
    "mlp": game("MLP, width 256, batch 64", *mlp(256, 64)),
    "mlp_wgan_gp": game("MLP, width 256, batch 64, WGAN-GP, one critic update", *mlp(256, 64), *ONE_UPDATE),
    "dcgan32": game("DCGAN, 32 px, batch 32", *images(32, 32)),
    "dcgan64": game("DCGAN, 64 px, batch 16", *images(64, 16)),
    "dcgan64_large": game("DCGAN, 64 px, batch 128", *images(64, 128), large=True),
    "dcgan32_wgan_gp": game("DCGAN, 32 px, batch 32, WGAN-GP, five critic updates", *images(32, 32), "loss=wgan_gp"),
}


class Setting:
    """A newly built game: networks initialised from the seed, batches, and options for hand-written loops."""

    def __init__(self, chosen: Game, device: str, *more: str):
        register()
        overrides = [*chosen.overrides, f"trainer.device={device}", *more]
        config = self.config = resolve(compose_config(overrides))
        self.system = build_system(config)
        self.device = self.system.device
        self.generator, self.discriminator = (self.system.networks[name] for name in ("generator", "discriminator"))
        self.size: int = config.trainer.batch_size
        self.dim: int = config.model.latent.dim
        self.critic_updates: int = config.players.discriminator.updates
        self.penalty: float | None = config.players.discriminator.weights.get("gradient_penalty")
        rng = torch.Generator().manual_seed(0)
        shape = (BATCHES, self.size, *self.system.dataset.shape)
        self.batches = (2 * torch.rand(shape, generator=rng) - 1).to(self.device)

    def optimizer(self, network: nn.Module, **more: Any) -> torch.optim.Optimizer:
        """The configured optimizer, without the options that gan-runner adds."""
        options: Any = OmegaConf.to_container(self.config.optimizer)
        return get_object(options.pop("_target_"))(network.parameters(), **options, **more)

    def noise(self) -> Tensor:
        return torch.randn(self.size, self.dim, device=self.device)

    def trained(self) -> Tensor:
        """A copy of all trained parameters."""
        networks = (self.discriminator, self.generator)
        return torch.cat([p.detach().flatten() for network in networks for p in network.parameters()]).clone()

    def updates(self) -> dict[int, int]:
        """Updates in an iteration, by the number of parameters updated."""
        networks = {self.discriminator: self.critic_updates, self.generator: 1}
        return {sum(p.numel() for p in network.parameters()): updates for network, updates in networks.items()}


class Contestant:
    """A training loop that can be timed."""

    plain = True  # whether it calls `step` of its optimizers, so that updates can be counted
    layout = torch.contiguous_format  # memory format of the weights

    def __init__(self, setting: Setting):
        self.setting = setting
        for network in (setting.generator, setting.discriminator):
            network.to(memory_format=self.layout)
        self.real = itertools.cycle(setting.batches)
        self.build()

    def build(self) -> None:
        """Build optimizers and other objects that are built once."""

    def iterate(self) -> None:
        """One iteration: the configured updates of the discriminator, one of the generator."""

    def run(self, iterations: int) -> float:
        """Train, and return the seconds that it took."""
        synchronize(self.setting.device)
        started = time.perf_counter()
        for _ in range(iterations):
            self.iterate()
        synchronize(self.setting.device)
        return time.perf_counter() - started

    def close(self) -> None:
        """Release resources."""

    def counted_updates(self) -> dict[int, int]:
        """Updates in one iteration, counted in torch's optimizers, by the number of parameters updated."""
        counts: dict[int, int] = {}

        def count(optimizer: torch.optim.Optimizer, *arguments: Any) -> None:
            size = sum(p.numel() for group in optimizer.param_groups for p in group["params"])
            counts[size] = counts.get(size, 0) + 1

        handle = register_optimizer_step_post_hook(count)
        self.run(1)
        handle.remove()
        return counts


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Runner(Contestant):
    """gan-runner, eager."""

    what: compilation.Compile = False

    @property
    def layout(self) -> torch.memory_format:
        """The memory format that gan-runner chooses."""
        return compilation.layout(True, self.what, self.setting.device)

    def build(self) -> None:
        system = self.setting.system
        system.update_scheme = compilation.compiled(
            self.what, system.update_scheme, system.players, system.device, wrap=compilation.no_fallback
        )
        self.stream = ({"data": batch} for batch in self.real)

    def iterate(self) -> None:
        self.setting.system.step(self.stream)


class Deterministic(Runner):
    """gan-runner with `trainer.deterministic=true`."""

    def run(self, iterations: int) -> float:
        with deterministic(True):
            return super().run(iterations)


class Moves(Runner):
    """gan-runner with each player's move compiled as one graph."""

    what = True


class Iteration(Runner):
    """gan-runner with the whole training step compiled as one graph."""

    what = "iteration"
    plain = False


def penalised(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, weight: float) -> Tensor:
    """The Wasserstein critic's loss with a gradient penalty."""
    scores, fakes = critic(real), critic(fake)
    share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
    between = (real + share * (fake - real)).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norms = (slope.flatten(1).square().sum(1) + 1e-12).sqrt()
    return fakes.mean() - scores.mean() + weight * (norms - 1).square().mean()


class Bare(Contestant):
    """The shortest hand-written loop of the same game. It computes no gradient that is not used."""

    options: dict[str, Any] = {}  # noqa: RUF012

    def build(self) -> None:
        setting = self.setting
        self.g, self.d = setting.generator, setting.discriminator
        self.optimizers = {net: setting.optimizer(net, **self.options) for net in (self.d, self.g)}
        self.ones, self.zeros = (torch.full((setting.size,), y, device=setting.device) for y in (1.0, 0.0))

    def iterate(self) -> None:
        setting, g, d = self.setting, self.g, self.d
        for _ in range(setting.critic_updates):
            real = next(self.real)
            with torch.no_grad():
                fake = g(setting.noise())
            if setting.penalty is None:
                bce = binary_cross_entropy_with_logits
                self.descend(d, bce(d(real), self.ones) + bce(d(fake), self.zeros))
            else:
                self.descend(d, penalised(d, real, fake, setting.penalty))
        fakes = d(g(setting.noise()))
        self.descend(g, softplus(-fakes).mean() if setting.penalty is None else -fakes.mean())

    def descend(self, network: nn.Module, loss: Tensor) -> None:
        parameters = list(network.parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters)):
            parameter.grad = self.laid_out(gradient)
        self.optimizers[network].step()

    def laid_out(self, gradient: Tensor) -> Tensor:
        """The gradient, unchanged."""
        return gradient


class BareFused(Bare):
    """The bare loop with gan-runner's choices: fused optimizers and channels_last."""

    layout = torch.channels_last
    options = {"fused": True}  # noqa: RUF012

    def laid_out(self, gradient: Tensor) -> Tensor:
        """The gradient in the memory format of its parameter, which torch's fused CPU kernels require."""
        return gradient.contiguous(memory_format=self.layout if gradient.dim() == 4 else torch.contiguous_format)


class Example(Contestant):
    """A DCGAN loop like PyTorch's example: BCE of probabilities, `backward`, losses fetched in every iteration."""

    def build(self) -> None:
        setting = self.setting
        if setting.penalty is not None:
            raise NotSupported("the example has no gradient penalty")
        self.g, self.d = setting.generator, setting.discriminator
        self.optimizer_d, self.optimizer_g = setting.optimizer(self.d), setting.optimizer(self.g)
        self.criterion = nn.BCELoss()

    def iterate(self) -> None:
        self.d.zero_grad()
        real = next(self.real)
        label = torch.full((len(real),), 1.0, device=real.device)
        output = self.d(real).sigmoid()
        loss_real = self.criterion(output, label)
        loss_real.backward()
        score_real = output.mean().item()
        fake = self.g(self.setting.noise())
        label.fill_(0.0)
        output = self.d(fake.detach()).sigmoid()
        loss_fake = self.criterion(output, label)
        loss_fake.backward()
        score_fake = output.mean().item()
        self.optimizer_d.step()
        self.g.zero_grad()
        label.fill_(1.0)
        output = self.d(fake).sigmoid()
        loss_g = self.criterion(output, label)
        loss_g.backward()
        score_after = output.mean().item()
        self.optimizer_g.step()
        self.printed = ((loss_real + loss_fake).item(), loss_g.item(), score_real, score_fake, score_after)
