"""Who trains the same game in `benchmark.py`: this runner, two loops written by hand, and packages that are installed.

Every contestant gets networks of its own with the same weights, the same batches, and the optimizer of the game's
configuration. Noise is drawn when it is needed, by `torch.randn`.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import queue
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import get_object
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.data import DataLoader

from gan_runner import step as stepping
from gan_runner.build import build_parts
from gan_runner.config import CONF, register, resolve

BATCHES = 16  # different ones, over and over


class Unable(Exception):  # noqa: N818  (it reads as what it says)
    """A contestant cannot play: it is not installed, or has no such game."""


@dataclass(frozen=True)
class Game:
    """What is trained: overrides of the configuration, as a user would type them."""

    title: str
    overrides: tuple[str, ...]


def game(title: str, *overrides: str) -> Game:
    """Data is random, so a dataset gives only its shape."""
    return Game(title, (*overrides, "scheduler=constant", "metric=[]", "objective=null"))


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
    "dcgan32_wgan_gp": game("DCGAN, 32 px, batch 32, WGAN-GP, five critic updates", *images(32, 32), "loss=wgan_gp"),
}


class Setting:
    """A game set up afresh: networks from the seed, batches, and what a loop has to know."""

    def __init__(self, chosen: Game, device: str, *more: str):
        register()
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            overrides = [*chosen.overrides, f"trainer.device={device}", *more]
            config = self.config = resolve(compose("config", overrides))
        self.parts = build_parts(config)
        self.device = self.parts.device
        self.generator, self.discriminator = (self.parts.networks[name] for name in ("generator", "discriminator"))
        self.size: int = config.trainer.batch_size
        self.dim: int = config.model.latent.dim
        self.critic_updates: int = config.players.discriminator.updates
        self.penalty: float | None = config.players.discriminator.weights.get("gradient_penalty")
        rng = torch.Generator().manual_seed(0)
        shape = (BATCHES, self.size, *self.parts.dataset.shape)
        self.batches = (2 * torch.rand(shape, generator=rng) - 1).to(self.device)

    def optimizer(self, network: nn.Module, **more: Any) -> torch.optim.Optimizer:
        """As configured, but for what the runner itself chooses."""
        options: Any = OmegaConf.to_container(self.config.optimizer)
        return get_object(options.pop("_target_"))(network.parameters(), **options, **more)

    def noise(self) -> Tensor:
        return torch.randn(self.size, self.dim, device=self.device)

    def sizes(self) -> list[int]:
        """Numbers that are trained, by the discriminator and the generator."""
        return [sum(p.numel() for p in network.parameters()) for network in (self.discriminator, self.generator)]

    def updates(self) -> dict[int, int]:
        """Updates in an iteration, by how many numbers are updated."""
        return dict(zip(self.sizes(), (self.critic_updates, 1)))


class Contestant:
    """Trains some iterations at a time."""

    plain = True  # whether it calls `step` of its optimizers, so that updates can be counted

    def __init__(self, setting: Setting):
        self.setting = setting
        self.real = itertools.cycle(setting.batches)
        self.build()

    def build(self) -> None:
        """Make optimizers and whatever else is made once."""

    def iterate(self) -> None:
        """One iteration: the configured updates of the discriminator, one of the generator."""

    def run(self, iterations: int) -> float:
        """Train; the seconds it took."""
        synchronize(self.setting.device)
        started = time.perf_counter()
        for _ in range(iterations):
            self.iterate()
        synchronize(self.setting.device)
        return time.perf_counter() - started

    def close(self) -> None:
        """Let go."""

    def counted_updates(self) -> dict[int, int]:
        """Updates in one iteration as torch's optimizers saw them, by how many numbers were updated."""
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
    """This package."""

    def build(self) -> None:
        parts = self.setting.parts
        self.compile()
        self.step = getattr(parts, "step", partial(parts.play, parts.players))
        self.stream = ({"data": batch} for batch in self.real)

    def compile(self) -> None:
        """Eager."""

    def iterate(self) -> None:
        self.step(self.stream)


class Moves(Runner):
    """Each player's move in one graph."""

    def compile(self) -> None:
        stepping.compile_moves(self.setting.parts.players)


class Iteration(Runner):
    """The whole training step in one graph."""

    plain = False

    def compile(self) -> None:
        if not hasattr(stepping, "compile_iteration"):
            raise Unable("this version has no compile_iteration")
        parts = self.setting.parts
        parts.play = stepping.compile_iteration(parts.play, parts.players)


def penalised(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, weight: float) -> Tensor:
    """The Wasserstein critic's loss with a gradient penalty."""
    scores, fakes = critic(real), critic(fake)
    share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
    between = (real + share * (fake - real)).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norms = (slope.flatten(1).square().sum(1) + 1e-12).sqrt()
    return fakes.mean() - scores.mean() + weight * (norms - 1).square().mean()


class Bare(Contestant):
    """The shortest loop of the same game, by somebody who does not compute gradients that nobody asked for."""

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
            parameter.grad = gradient
        self.optimizers[network].step()


class BareFused(Bare):
    """The same, with `fused=True`."""

    options = {"fused": True}  # noqa: RUF012


class Example(Contestant):
    """A DCGAN loop in the manner of PyTorch's own example: BCE of probabilities, backward, losses printed each time."""

    def build(self) -> None:
        setting = self.setting
        if setting.penalty is not None:
            raise Unable("the example has no gradient penalty")
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


class Closed(Exception):  # noqa: N818
    """No more batches: ends a trainer that would go on for ever."""


class Feed:
    """Endless data of a trainer that owns its loop: it trains on `count` batches, and then waits for the next order.

    The clock runs from the first batch handed out to the request that follows the last, so that building a trainer,
    starting and ending an epoch are not counted.
    """

    def __init__(self, setting: Setting):
        self.batches = itertools.cycle(setting.batches)
        self.batch_size = setting.size
        self.device = setting.device
        self.orders: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self.results: queue.SimpleQueue[float | BaseException] = queue.SimpleQueue()
        self.left, self.started = 0, 0.0

    def run(self, count: int) -> float:
        """From outside: have `count` batches trained on."""
        self.orders.put(count)
        result = self.results.get()
        if isinstance(result, BaseException):
            raise result
        return result

    def __len__(self) -> int:
        return 10**9

    def __iter__(self) -> Iterator[Tensor]:
        return self

    def __next__(self) -> Tensor:
        if self.left == 0:
            synchronize(self.device)
            if self.started:
                self.results.put(time.perf_counter() - self.started)
            order = self.orders.get()
            if order is None:
                raise Closed
            self.left, self.started = order, time.perf_counter()
        self.left -= 1
        return next(self.batches)


class Peer(Contestant):
    """A package whose trainer owns the loop. It runs in a thread, which sleeps between rounds."""

    batches_an_iteration = 1
    feed_type: type[Feed] = Feed

    def build(self) -> None:
        self.feed = self.feed_type(self.setting)
        try:
            self.make()
        except ImportError as error:
            raise Unable(f"it is not installed ({error})") from error
        self.thread = threading.Thread(target=self.work, daemon=True)
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.thread.start()
            self.run(1)

    def make(self) -> None:
        """Build the trainer."""

    def train(self) -> None:
        """Train on the feed, in the thread."""

    def work(self) -> None:
        try:
            self.train()
        except Closed:
            pass
        except BaseException as error:
            self.feed.results.put(error)

    def run(self, iterations: int) -> float:
        return self.feed.run(iterations * self.batches_an_iteration)

    def close(self) -> None:
        self.feed.orders.put(None)
        self.thread.join()


class Lightning(Peer):
    """A module with manual optimization, as the GAN of Lightning's own examples; logger, checkpoints and bar off."""

    def make(self) -> None:
        import lightning

        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module="lightning")
        setting = self.setting
        self.batches_an_iteration = setting.critic_updates
        bce = binary_cross_entropy_with_logits

        class Module(lightning.LightningModule):
            def __init__(self) -> None:
                super().__init__()
                self.automatic_optimization = False
                self.g, self.d = setting.generator, setting.discriminator

            def configure_optimizers(self) -> Any:
                return [setting.optimizer(self.g), setting.optimizer(self.d)], []

            def training_step(self, real: Tensor, index: int) -> None:
                optimizer_g, optimizer_d = self.optimizers()
                noise = setting.noise().type_as(real)
                if (index + 1) % setting.critic_updates == 0:
                    scores = self.d(self.g(noise))
                    loss = bce(scores, torch.ones_like(scores)) if setting.penalty is None else -scores.mean()
                    self.descend(optimizer_g, loss, "g_loss")
                fake = self.g(noise).detach()
                if setting.penalty is None:
                    scores, fakes = self.d(real), self.d(fake)
                    loss = (bce(scores, torch.ones_like(scores)) + bce(fakes, torch.zeros_like(fakes))) / 2
                else:
                    loss = penalised(self.d, real, fake, setting.penalty)
                self.descend(optimizer_d, loss, "d_loss")

            def descend(self, optimizer: Any, loss: Tensor, name: str) -> None:
                self.toggle_optimizer(optimizer)
                self.log(name, loss)
                self.manual_backward(loss)
                optimizer.step()
                optimizer.zero_grad()
                self.untoggle_optimizer(optimizer)

        off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
        self.module = Module()
        self.trainer = lightning.Trainer(
            max_epochs=1, accelerator=setting.device.type, devices=1, barebones=False, **dict.fromkeys(off, False)
        )

    def train(self) -> None:
        self.trainer.fit(self.module, self.feed)


class TorchGAN(Peer):
    """torchgan's Trainer with its losses, each of which steps its own optimizer."""

    def make(self) -> None:
        from torchgan.losses import MinimaxDiscriminatorLoss, MinimaxGeneratorLoss
        from torchgan.models import Discriminator, Generator
        from torchgan.trainer import Trainer

        setting = self.setting
        if setting.penalty is not None:
            raise Unable("its gradient penalty takes optimizer steps of its own: another number of updates")

        def wrap(base: type, network: nn.Module) -> Any:
            class Wrapped(base):
                def __init__(self) -> None:
                    super().__init__(setting.dim)
                    self.network = network

                def forward(self, x: Tensor) -> Tensor:
                    return self.network(x)

            optimizer = {"name": lambda parameters: setting.optimizer(network)}
            return {"name": Wrapped, "optimizer": optimizer}

        self.folder = tempfile.TemporaryDirectory()
        self.trainer = Trainer(
            {
                "generator": wrap(Generator, setting.generator),
                "discriminator": wrap(Discriminator, setting.discriminator),
            },
            [MinimaxGeneratorLoss(), MinimaxDiscriminatorLoss()],
            device=setting.device,
            epochs=1,
            checkpoints=f"{self.folder.name}/model/gan",
            recon=f"{self.folder.name}/images",
        )

    def train(self) -> None:
        self.trainer(self.feed)


class VegansFeed(Feed, DataLoader):  # vegans asks for a DataLoader
    """Its iterators have a method `next`, which vegans calls, as Python 2's had; it looks at the first batch."""

    def next(self) -> Tensor:
        return next(self.batches)


class Vegans(Peer):
    """vegans' own classes, with `fit`."""

    feed_type = VegansFeed

    def make(self) -> None:
        from vegans.GAN import VanillaGAN, WassersteinGANGP

        setting = self.setting
        kind, judge = (VanillaGAN, nn.Sequential(setting.discriminator, nn.Sigmoid()))
        more: dict[str, Any] = {}
        if setting.penalty is not None:
            kind, judge, more = WassersteinGANGP, setting.discriminator, {"lmbda_grad": setting.penalty}
        if setting.critic_updates > 1:
            raise Unable("it takes no notice of its option for several critic updates")
        options: Any = OmegaConf.to_container(setting.config.optimizer)
        optimizer = get_object(options.pop("_target_"))
        self.gan = kind(
            setting.generator,
            judge,
            x_dim=setting.parts.dataset.shape,
            z_dim=setting.dim,
            optim=optimizer,
            optim_kwargs={"Generator": options, "Adversary": options},
            device=setting.device.type,
            folder=None,
            secure=False,  # it knows Sequential networks alone
            **more,
        )

    def train(self) -> None:
        quiet: Sequence[str] = ("print_every", "save_model_every", "save_images_every", "save_losses_every")
        self.gan.fit(self.feed, epochs=1, batch_size=self.setting.size, **dict.fromkeys(quiet))


CONTESTANTS: dict[str, type[Contestant]] = {
    "bare": Bare,
    "bare_fused": BareFused,
    "runner": Runner,
    "moves": Moves,
    "iteration": Iteration,
    "example": Example,
    "lightning": Lightning,
    "torchgan": TorchGAN,
    "vegans": Vegans,
}
EXACT = ("bare", "bare_fused", "runner", "moves", "iteration")
"""Those that draw the same noise in the same order, and so end with the same parameters."""
