"""The system that is trained: networks, players, game, dataset and loss as one object."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import repeat
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn

from gan_runner.datasets.base import Data, Dataset
from gan_runner.errors import CheckpointError
from gan_runner.games.base import SampleGrid
from gan_runner.losses.base import Evaluated, Identifies, generator_slope
from gan_runner.models.encoders import Posterior
from gan_runner.players import Player, plain
from gan_runner.plots.surfaces import Field, Surface
from gan_runner.step import Play
from gan_runner.terms.adversarial import generator_loss
from gan_runner.turn import Batch


@dataclass
class System:
    """What plays.

    Attributes:
        dataset: the recipe for the data.
        game: who sees what.
        networks: all networks, by name.
        players: in the order in which they move.
        play: how they move in a training step; returns what they report.
        device: where everything lives.
        loss: what the scores of data mean, or what is descended in their place; None if there is neither.
    """

    dataset: Dataset
    game: Any
    networks: dict[str, nn.Module]
    players: list[Player]
    play: Play
    device: torch.device
    loss: Any = None

    def step(self, batches: Iterator[Batch]) -> dict[str, Tensor]:
        """One training step: the players play, and their learning rates go on; what they report, on the device."""
        report = self.play(self.players, batches)
        for player in self.players:
            player.scheduler.step()
        return report

    def seen(self, data: Data) -> Data:
        """What the players see of the data: all of it, unless the game hides some."""
        return self.game.seen(self.dataset, data) if hasattr(self.game, "seen") else data

    def sampling_networks(self) -> dict[str, nn.Module]:
        """The networks that samples are drawn from: averaged ones where a player keeps averages."""
        networks = dict(self.networks)
        for player in self.players:
            for constraint in player.constraints.values():
                networks.update(dict(getattr(constraint, "averages", {}).items()))
        return networks

    @torch.no_grad()
    def sample(self, noise: Tensor, chunk: int = 512) -> Tensor:
        """Samples (n, *shape) for such rows of `noise` (n, …), networks in evaluation mode, a chunk at a time."""
        networks = self.sampling_networks()
        with evaluating(networks):
            return torch.cat([self.game.sample(networks, part) for part in noise.split(chunk)])

    @torch.no_grad()
    def score(self, x: Tensor, rows: Tensor | None = None, chunk: int = 512) -> Tensor:
        """The critic's scores (n,) of points (n, *shape), in evaluation mode, a chunk at a time.

        A critic that is told conditions needs the `rows` (n, …) that these samples were made from. For a critic that
        looks at a whole batch (minibatch discrimination), the chunk is that batch.
        """
        beside = repeat(None) if rows is None else rows.split(chunk)
        with evaluating(self.networks):
            system = zip(x.to(self.device).split(chunk), beside)
            return torch.cat([self.game.score(self.networks, part, row) for part, row in system])

    @property
    def has_unconditional_critic(self) -> bool:
        """Whether there is a critic that has scores of points alone: one, and not another beside each condition."""
        return hasattr(self.game, "score") and self.game.has_unconditional_critic(self.networks)

    def classify(self, x: Tensor) -> Tensor:
        """The logits (n, classes) that a game which classifies has of data x (n, *shape)."""
        return self.looked_at(self.game.classify, x)

    def infer_codes(self, x: Tensor) -> Tensor:
        """What a game that reads codes makes of those of data x (n, *shape): (n, …)."""
        return self.looked_at(self.game.infer_codes, x)

    @property
    def extra_fakes(self) -> str | None:
        """What a term has the critic tell from data beside samples, so that the ratio that it knows is not theirs."""
        weighed = [(term, player.weights[name]) for player in self.players for name, term in player.terms.items()]
        others = [getattr(getattr(term, "func", term), "extra_fakes", None) for term, weight in weighed if weight]
        return next(filter(None, others), None)

    @property
    def identifies(self) -> Identifies | None:
        """What an optimal critic would know of the densities of data and samples, if there is one and it knows any."""
        return None if self.extra_fakes else getattr(self.loss, "identifies", None)

    @property
    def encoder(self) -> Callable[..., Posterior] | None:
        """Networks, data (n, *shape) → q(z|x): as the game has it, or backwards through a flow."""
        if hasattr(self.game, "encode") and self.game.encodes(self.networks):
            return self.game.encode
        if hasattr(self.networks.get("generator"), "encode"):
            return lambda networks, x: networks["generator"].encode(x)
        return None

    def encode(self, x: Tensor, seed: int = 0) -> Tensor:
        """The codes (n, latent_dim) that stand for data x (n, *shape), where there is an `encoder`.

        An encoder that has no mean draws them, by this seed: other data takes another.
        """
        return self.looked_at(lambda networks, x: self.posterior(networks, x).mean, x, seed)

    def draw_codes(self, x: Tensor, seed: int) -> Tensor:
        """A draw (n, latent_dim) of q(z|x) for each of the data x (n, *shape), where there is an `encoder`."""
        return self.looked_at(lambda networks, x: self.posterior(networks, x).codes, x, seed)

    def posterior(self, networks: Mapping[str, nn.Module], x: Tensor) -> Posterior:
        """q(z|x) of data (n, *shape), where there is an `encoder`."""
        assert self.encoder is not None
        return self.encoder(networks, x)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log density (n,) in nats that a generator which has one gives to data x (n, *shape)."""
        return self.looked_at(lambda networks, x: networks["generator"].log_prob(x), x)

    @torch.no_grad()
    def looked_at(self, look: Callable[..., Tensor], x: Tensor, seed: int = 0, chunk: int = 512) -> Tensor:
        """What a game makes of data x (n, *shape) by averaged weights, in evaluation mode, a chunk at a time.

        What is drawn for it is the same for the same seed, and a run's own random numbers stay as they are.
        """
        networks = self.sampling_networks()
        own = [self.device] if self.device.type == "cuda" else []
        with evaluating(networks), torch.random.fork_rng(own):
            torch.manual_seed(seed)
            return torch.cat([look(networks, part) for part in x.to(self.device).split(chunk)])

    def reconstruct(self, x: Tensor, seed: int = 0) -> Tensor:
        """What comes back of data x (n, *shape) when it is made anew from its codes: (n, *shape)."""
        return self.sample(self.encode(x, seed))

    def paths(self, first: Tensor, second: Tensor, steps: int) -> Tensor:
        """What is made on the way from the code of each of the first data (n, *shape) to that of its second.

        Returns:
            (n, steps, *shape), the first and the last of them reconstructions.
        """
        codes = self.game.latent.path(self.encode(first), self.encode(second), steps)
        return self.sample(codes).unflatten(0, (len(first), steps))

    def surface(self) -> Surface | None:
        """What the critic makes of any point: the log density ratio where its loss implies one, else its score.

        None where there is no one surface: nobody judges, or the critic judges points beside conditions.
        """
        if not self.has_unconditional_critic:
            return None
        if self.identifies in ("ratio", "relative"):
            return Surface("the critic's log ratio p/q", lambda x: self.loss.log_ratio(self.score(x)), centred=True)
        return Surface("the critic's score", self.score)

    def field(self, real: Tensor, samples: Tensor) -> Field | None:
        """Where the generator's loss would move a fake, if it is a function of scores of points and is descended.

        That is −n ∂L/∂xᵢ for the mean loss L of n fakes: how a fake at x would move that is one among the `samples`
        (n, *shape), compared, where a loss does so, with the data `real` (n, *shape). Networks are in evaluation mode.
        """
        terms = [(term, player.weights[name]) for player in self.players for name, term in player.terms.items()]
        descended = any(getattr(term, "func", None) is generator_loss and weight for term, weight in terms)
        if not (descended and self.has_unconditional_critic):
            return None
        scores = Evaluated(self.score(real), self.score(samples))
        return Field("−∇ of the generator's loss", lambda x: self.sample_gradient(x, scores))

    def sample_gradient(self, x: Tensor, among: Evaluated, chunk: int = 512) -> Tensor:
        """Where the generator's loss would move fakes at x (n, *shape), each one `among` others: (n, *shape).

        For a critic that looks at a whole batch (minibatch discrimination), the chunk is that batch.
        """
        moves = []
        for part in x.to(self.device).split(chunk):
            points = part.clone().requires_grad_()
            with evaluating(self.networks), torch.enable_grad():
                scores = self.game.score(self.networks, points)
                (slope,) = torch.autograd.grad(scores, points, generator_slope(self.loss, scores.detach(), among))
            moves.append(-slope)
        return torch.cat(moves)

    def noise(self, n: int, seed: int) -> Tensor:
        """What n samples are made from, the same for the same seed, whatever the device: latents, and conditions."""
        generator = torch.Generator().manual_seed(seed)
        return self.game.noise(self.networks, n, generator).to(self.device)

    def noise_like(self, load: Callable[[], Data], n: int, seed: int) -> Tensor:
        """The same with conditions of other data than is trained on, which is read if the game has any."""
        if not hasattr(self.game, "noise_like"):
            return self.noise(n, seed)
        generator = torch.Generator().manual_seed(seed)
        return self.game.noise_like(self.networks, load(), n, generator).to(self.device)

    def sample_grid(self, n: int, seed: int) -> SampleGrid:
        """The same rows to be drawn for the same seed, whatever the device, in the order in which they are shown."""
        arrangement = self.game.sample_grid(self.networks, n, torch.Generator().manual_seed(seed))
        return replace(arrangement, noise=arrangement.noise.to(self.device))

    def state_dict(self) -> dict[str, Any]:
        """Everything that is trained, for a checkpoint."""
        return {
            "networks": nn.ModuleDict(self.networks).state_dict(),
            "players": {player.name: player.state_dict() for player in self.players},
        }

    def load_state_dict(self, state: Mapping[str, Any], changed: Mapping[str, Collection[str]] | None = None) -> None:
        """Go on from there, but with the options of optimizers that were `changed`, by player.

        Raises:
            CheckpointError: the state is that of other networks or players.
        """
        try:
            nn.ModuleDict(self.networks).load_state_dict(state["networks"])
            for player in self.players:
                check_alike(*map(plain, (player.scheduler.state_dict(), state["players"][player.name]["scheduler"])))
                player.load_state_dict(state["players"][player.name], (changed or {}).get(player.name, ()))
        except MISFIT as error:
            reason = shorten(str(error), 200, placeholder=" …")
            raise CheckpointError(
                f"the checkpoint does not fit the networks and players of this configuration ({reason})"
            ) from error


MISFIT = (RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError)
"""What is raised for a state that is of something else."""


def check_alike(own: Any, other: Any) -> None:
    """Whether plain values are of the same kinds as what they are to replace, which a scheduler does not look at.

    Raises:
        TypeError: one is not.
    """
    kinds: tuple[Any, ...] = ((int, float), (list, tuple), dict, str)
    kind: Any = next((kind for kind in kinds if isinstance(own, kind)), object)
    if not isinstance(other, kind):
        raise TypeError(f"{other} is no {type(own).__name__}")
    if isinstance(own, dict):
        for name in own.keys() & other.keys():
            check_alike(own[name], other[name])
    elif isinstance(own, list | tuple):
        for mine, its in zip(own, other):
            check_alike(mine, its)


class evaluating:  # noqa: N801  (a context, read as a verb)
    """Networks in evaluation mode, and afterwards each module in the mode it was in."""

    def __init__(self, networks: Mapping[str, nn.Module]):
        self.modules = [module for network in networks.values() for module in network.modules()]

    def __enter__(self) -> None:
        self.training = [module.training for module in self.modules]
        for module in self.modules:
            module.training = False

    def __exit__(self, *exception: object) -> None:
        for module, training in zip(self.modules, self.training):
            module.training = training


def encodes(system: System) -> None:
    """Data must have codes."""
    if system.encoder is None:
        raise ValueError(
            f"it looks at codes of data, and {type(system.game).__name__} makes none; choose a game with an encoder, "
            "such as game=vae, or model=real_nvp, or leave it out"
        )
