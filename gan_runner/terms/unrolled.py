"""Unrolled GAN: the generator's loss against the discriminator after some simulated updates."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gan_runner.distributed.sharding import all_reduce_mean
from gan_runner.games.gan import GANTurn
from gan_runner.losses.base import Loss
from gan_runner.requirements import OwnedNetworks, has_critic, innermost
from gan_runner.tools.formulas import Symbols, formula, short
from gan_runner.tools.precision import full_precision
from gan_runner.tools.scheduled import Schedule, Scheduled, scheduled, value_of

Weights = dict[str, Tensor]
"""The parameters of a network, by name; to compute with them, also its buffers."""


def no_encoder(networks: Mapping[str, nn.Module]) -> None:
    """Check that the player has no encoder."""
    if "encoder" in networks:
        raise ValueError(
            "the unrolled loss is the generator's and does not train an encoder; leave out regularizer=unrolled, or "
            "choose another game"
        )


def ahead(term: UnrolledGeneratorLoss, symbols: Symbols) -> str:
    """The formula of the generator's half, by the discriminator of `steps` updates later."""
    mark = str(term.steps).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
    real, fake = symbols.score("real_scores"), symbols.score("fake_scores")
    optimizer = "gradient descent" if term.betas is None else "Adam"
    betas = "" if term.betas is None else f" ({', '.join(map(short, term.betas))})"
    symbols.define(
        f"{fake.letter}{mark}: {fake.letter} after {term.steps} simulated updates, {optimizer} {short(term.lr)}{betas}"
    )
    return symbols.having(real_scores=real.marked(mark), fake_scores=fake.marked(mark)).loss(term.loss.generator)


@formula(ahead)
class UnrolledGeneratorLoss(nn.Module):
    """The generator's loss after k simulated updates of the discriminator (Metz et al. 2017, arXiv:1611.02163, Eq. 7).

    The gradient flows through the updates by way of the fakes. All updates use the batch and the fakes of this move.
    With k = 0 it is the plain generator's loss. Stateful terms of the discriminator, such as historical averaging, are
    left out of the simulation. The simulation has its own copy of the discriminator's buffers, so the statistics of
    batch norm and the vectors of spectral norm always belong to weights that the discriminator really had.

    The simulated optimizer is Adam, as in the paper, or plain gradient descent without `betas`. Adam's moments are
    stored here: each move updates them with its first simulated gradient.

    Args:
        networks: the player's networks, with those of the other players in `others`.
        loss: the loss whose generator's half is minimised.
        terms: the discriminator's terms, by name.
        weights: the weights of these terms.
        critic: the name of the network whose updates are simulated.
        steps: the number of simulated updates k.
        lr: the learning rate of the simulated updates.
        betas: Adam's β₁ and β₂; None for gradient descent.
        eps: Adam's ε.

    Raises:
        ValueError: all terms of the discriminator are stateful.
    """

    requirements: ClassVar = (no_encoder, has_critic)

    moves: Tensor

    def __init__(
        self,
        networks: OwnedNetworks,
        loss: Loss,
        terms: Mapping[str, Callable[[GANTurn], Tensor]],
        weights: Mapping[str, float | Schedule],
        critic: str = "discriminator",
        steps: int = 5,
        lr: float = 1e-4,
        betas: tuple[float, float] | None = (0.5, 0.999),
        eps: float = 1e-8,
    ):
        super().__init__()
        if steps < 0:
            raise ValueError(f"steps must be at least 0, not {steps}")
        self.loss = loss
        self.terms = {name: term for name, term in terms.items() if not is_stateful(term)}
        if steps and not self.terms:
            raise ValueError(
                f"all terms of the discriminator ({', '.join(terms)}) have a state, so their updates cannot be "
                "simulated; leave out regularizer=unrolled, or choose another loss"
            )
        self.weights = {name: scheduled(weight) for name, weight in weights.items()}
        self.schedules = nn.ModuleList(weight for weight in self.weights.values() if isinstance(weight, Scheduled))
        self.critic = critic
        self.steps = steps
        self.lr, self.betas = lr, betas
        self.update = gradient_descent(lr) if betas is None else adam(lr, *betas, eps)
        network = networks.others[critic]
        self.calls = (Calls(network),)  # a tuple hides it from nn.Module, which would save its weights twice
        parameters = list(network.parameters())
        self.register_buffer("moves", torch.zeros(()))
        self.first = nn.ParameterList(nn.Parameter(torch.zeros_like(p), requires_grad=False) for p in parameters)
        self.second = nn.ParameterList(nn.Parameter(torch.zeros_like(p), requires_grad=False) for p in parameters)

    def forward(self, turn: GANTurn) -> Tensor:
        """The generator's loss against the discriminator after k simulated updates, a scalar."""
        with full_precision(self.moves):
            return self.look_ahead(turn)

    def look_ahead(self, turn: GANTurn) -> Tensor:
        """The generator's loss after k simulated updates, computed in the precision of the weights."""
        weights: Weights = dict(turn.networks[self.critic].named_parameters())
        buffers = {name: buffer.clone() for name, buffer in turn.networks[self.critic].named_buffers()}
        state: State = (self.moves, list(self.first), list(self.second))
        for step in range(self.steps):
            ahead = self.turn_with(turn, {**weights, **buffers})
            total = torch.stack([value_of(self.weights[name]) * term(ahead) for name, term in self.terms.items()]).sum()
            gradients = all_reduce_mean(torch.autograd.grad(total, list(weights.values()), create_graph=True))
            changes, state = self.update(gradients, state)
            weights = {name: weight - change for (name, weight), change in zip(weights.items(), changes, strict=True)}
            if step == 0:
                self.keep_moments(*state)
        return self.loss.generator(self.turn_with(turn, {**weights, **buffers}).scores)

    def turn_with(self, turn: GANTurn, weights: Weights) -> GANTurn:
        """The turn with other weights and buffers of the critic; gradients also flow to the player's networks."""
        return turn.replace(self.critic, WithWeights(self.calls[0], weights))

    @torch.no_grad()
    def keep_moments(self, moves: Tensor, first: Sequence[Tensor], second: Sequence[Tensor]) -> None:
        """Store Adam's state after the first simulated update."""
        self.moves.copy_(moves)
        for kept, present in zip([*self.first, *self.second], [*first, *second], strict=True):
            kept.copy_(present)


State = tuple[Tensor, Sequence[Tensor], Sequence[Tensor]]
"""Adam's state: the number of gradients, and both moments of each parameter."""

Update = Callable[[Sequence[Tensor], State], tuple[list[Tensor], State]]
"""A differentiable function from gradients and state to the decrease of each weight and the next state."""


def gradient_descent(lr: float) -> Update:
    """Gradient descent: weights decrease by lr · g."""
    return lambda gradients, state: ([lr * g for g in gradients], state)


def adam(lr: float, beta1: float, beta2: float, eps: float) -> Update:
    """Adam as a differentiable function (Kingma & Ba 2015, arXiv:1412.6980, Algorithm 1).

    Weights decrease by lr · m̂ / (v̂^½ + ε). v̂ is clamped above zero, where the derivative of the root is infinite.
    """

    def update(gradients: Sequence[Tensor], state: State) -> tuple[list[Tensor], State]:
        moves, first, second = state
        moves = moves + 1
        first = [beta1 * m + (1 - beta1) * g for m, g in zip(first, gradients, strict=True)]
        second = [beta2 * v + (1 - beta2) * g.square() for v, g in zip(second, gradients, strict=True)]
        mean_scale, square_scale = 1 / (1 - beta1**moves), 1 / (1 - beta2**moves)
        roots = [(v * square_scale).clamp(min=1e-30).sqrt() for v in second]
        return [lr * m * mean_scale / (root + eps) for m, root in zip(first, roots)], (moves, first, second)

    return update


class Calls(nn.Module):
    """Wraps a network so that `functional_call` can call any of its methods with other weights."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, method: str, *arguments: Tensor) -> Tensor:
        """Call the method of this name."""
        return getattr(self.network, method)(*arguments)


class WithWeights:
    """A critic computed with other weights and buffers."""

    def __init__(self, calls: Calls, weights: Weights):
        self.calls = calls
        self.weights = {f"network.{name}": weight for name, weight in weights.items()}

    def features(self, x: Tensor) -> Tensor:
        """Features: (n, num_features)."""
        return functional_call(self.calls, self.weights, ("features", x))

    def score(self, features: Tensor, x: Tensor, *condition: Tensor) -> Tensor:
        """Scores: (n,)."""
        return functional_call(self.calls, self.weights, ("score", features, x, *condition))

    def classify(self, features: Tensor) -> Tensor:
        """Logits: (n, classes)."""
        return functional_call(self.calls, self.weights, ("classify", features))


def is_stateful(term: Any) -> bool:
    """Whether a configured term is a class, which has state between moves."""
    inner = innermost(term)
    return isinstance(inner, partial) and inspect.isclass(inner.func)
