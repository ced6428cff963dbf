"""Other packages that train GANs, for `benchmark.py`: each with its own trainer and as few patches as possible."""

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
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from contestants import Contestant, NotSupported, Setting, penalised, synchronize
from hydra.utils import get_object
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader


class Closed(Exception):  # noqa: N818
    """There are no more batches. It stops a trainer that would never end."""


class Feed:
    """Endless data for a trainer that owns its loop. It gives the trainer `count` batches, then waits for an order.

    Time runs from the first batch returned to the request after the last one. Building a trainer and starting and
    ending an epoch are not counted.
    """

    def __init__(self, setting: Setting):
        self.batches = itertools.cycle(setting.batches)
        self.batch_size = setting.size
        self.device = setting.device
        self.orders: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self.results: queue.SimpleQueue[float | BaseException] = queue.SimpleQueue()
        self.left, self.started = 0, 0.0

    def run(self, count: int) -> float:
        """Train on `count` batches, and return the seconds. Called from outside the trainer's thread."""
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
            raise NotSupported(f"it is not installed ({error})") from error
        self.thread = threading.Thread(target=self.work, daemon=True)
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.thread.start()
            self.run(1)

    def make(self) -> None:
        """Build the trainer."""

    def train(self) -> None:
        """Train on the feed. Runs in the thread."""

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
    """A module with manual optimization like Lightning's GAN example, without logger, checkpoints and progress bar."""

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
    """torchgan's Trainer with its losses, which step the optimizers themselves."""

    def make(self) -> None:
        from torchgan.losses import MinimaxDiscriminatorLoss, MinimaxGeneratorLoss
        from torchgan.models import Discriminator, Generator
        from torchgan.trainer import Trainer

        setting = self.setting
        if setting.penalty is not None:
            raise NotSupported("its gradient penalty takes extra optimizer steps, so the number of updates differs")

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


class VegansFeed(Feed, DataLoader):  # vegans requires a DataLoader
    """A feed with a method `next`, which vegans calls to look at the first batch."""

    def next(self) -> Tensor:
        return next(self.batches)


class Vegans(Peer):
    """vegans' GAN classes, trained by their `fit`."""

    feed_type = VegansFeed

    def make(self) -> None:
        from vegans.GAN import VanillaGAN, WassersteinGANGP

        setting = self.setting
        kind, critic = (VanillaGAN, nn.Sequential(setting.discriminator, nn.Sigmoid()))
        more: dict[str, Any] = {}
        if setting.penalty is not None:
            kind, critic, more = WassersteinGANGP, setting.discriminator, {"lmbda_grad": setting.penalty}
        if setting.critic_updates > 1:
            raise NotSupported("it ignores its option for several critic updates")
        options: Any = OmegaConf.to_container(setting.config.optimizer)
        optimizer = get_object(options.pop("_target_"))
        self.gan = kind(
            setting.generator,
            critic,
            x_dim=setting.system.dataset.shape,
            z_dim=setting.dim,
            optim=optimizer,
            optim_kwargs={"Generator": options, "Adversary": options},
            device=setting.device.type,
            folder=None,
            secure=False,  # its check accepts Sequential networks only
            **more,
        )

    def train(self) -> None:
        quiet: Sequence[str] = ("print_every", "save_model_every", "save_images_every", "save_losses_every")
        self.gan.fit(self.feed, epochs=1, batch_size=self.setting.size, **dict.fromkeys(quiet))
