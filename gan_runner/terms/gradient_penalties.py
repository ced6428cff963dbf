"""Gradient penalties: on the gradient of the critic with respect to its input.

The norm is taken per sample, over all of its elements: ‖∇ₓD(xᵢ)‖₂ for each i. If the critic scores pairs of a sample
and a code, x is the pair.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from gan_runner.distributed.sharding import all_gather
from gan_runner.games.gan import GANTurn
from gan_runner.models.layers.batch_norm import BATCH_NORMS
from gan_runner.models.networks import Network, is_scored
from gan_runner.requirements import requires
from gan_runner.tools import per_sample
from gan_runner.tools.formulas import fill, formula
from gan_runner.tools.precision import full_precision


def per_sample_scores(networks: Mapping[str, nn.Module]) -> None:
    """Check that networks with a score have no batch norm: a penalty needs the gradient of one score by its own input.

    Minibatch discrimination also couples samples, but weakly, and is combined with penalties in practice (Karras et al.
    2018, arXiv:1710.10196), so it is allowed.
    """
    for name, network in networks.items():
        if is_scored(network) and any(isinstance(module, BATCH_NORMS) for module in network.modules()):
            single = isinstance(network, Network)  # otherwise it consists of two networks, each with its own norm
            option = f"model.{name}.norm" if single else "model.discriminator.norm or model.generator.norm"
            raise ValueError(
                "a gradient penalty needs each score to depend on its own sample alone, and "
                f"{option}=batch mixes the batch; choose {option}=none, layer, instance or virtual"
            )


def squared_gradient_norms(critic: Callable[..., Tensor], *x: Tensor) -> Tensor:
    """‖∇ₓ critic(xᵢ)‖₂² for each sample: (n,) for inputs x (n, …), differentiable in the weights."""
    points = [part if part.requires_grad else part.detach().requires_grad_() for part in x]
    with full_precision(points[0]):
        gradients = torch.autograd.grad(critic(*points).sum(), points, create_graph=True)
    return functools.reduce(torch.add, [gradient.flatten(1).square().sum(1) for gradient in gradients])


def gradient_norms(critic: Callable[..., Tensor], *x: Tensor) -> Tensor:
    """‖∇ₓ critic(xᵢ)‖₂ for each sample: (n,). Its gradient stays finite where the norm is zero."""
    return (squared_gradient_norms(critic, *x) + 1e-12).sqrt()


def between(starts: Sequence[Tensor], ends: Sequence[Tensor]) -> list[Tensor]:
    """A uniformly drawn point on the line from each start (n, …) to its end, with one draw per sample."""
    first = starts[0]
    t = per_sample.rand(len(first), *[1] * (first.dim() - 1), device=first.device, dtype=first.dtype)
    shaped = [t if t.dim() == start.dim() else t.view(-1, *[1] * (start.dim() - 1)) for start in starts]
    return [start + t * (end - start) for start, end, t in zip(starts, ends, shaped)]


NORM, NORM_TO_ZERO = "E[(‖∇{between_scores}‖ − {target})²]", "E[‖∇{between_scores}‖²]"
"""Formulas of a penalty on the way between data and something else."""

AROUND_DATA = "{between} = {real_inputs} + {scale} u v std({real_inputs}), u ~ U(0, 1), v ~ U(0, 1) in each element"
"""The points where `dragan` acts."""


def tilde(text: str) -> str:
    """A formula with x̃ in place of x̂, which `gradient_penalty` defines otherwise."""
    return text.replace("x̂", "x̃").replace("ẑ", "z̃")


@requires(per_sample_scores)
@formula(
    lambda term, symbols: fill(NORM if term.target else NORM_TO_ZERO, term, symbols),
    "{between} = {real_inputs} + u ({fake_inputs} − {real_inputs}), u ~ U(0, 1)",
)
def gradient_penalty(turn: GANTurn, target: float = 1.0) -> Tensor:
    """E[(‖∇D(x̂)‖₂ − target)²] for x̂ on lines from real to fake (Gulrajani et al. 2017, arXiv:1704.00028, Eq. 3)."""
    points = between(turn.real_critic_inputs, turn.fake_critic_inputs)
    return (gradient_norms(turn.critic, *points) - target).square().mean()


@requires(per_sample_scores)
@formula(
    lambda term, symbols: tilde(fill(NORM if term.target else NORM_TO_ZERO, term, symbols)),
    lambda term, symbols: tilde(fill(AROUND_DATA, term, symbols)),
)
def dragan(turn: GANTurn, target: float = 1.0, scale: float = 0.5) -> Tensor:
    """E[(‖∇D(x + δ)‖₂ − target)²] around the data (Kodali et al. 2017, arXiv:1705.07215, Section 2.3).

    As in the authors' code, δ = scale · std(x) · U[0, 1) elementwise, with the standard deviation of the global batch:
    the perturbation is never negative. The penalised point lies at a random place between x and x + δ.
    """
    real = turn.real_critic_inputs
    draws = [per_sample.rand(*x.shape, device=x.device, dtype=x.dtype) for x in real]
    perturbed = [x + scale * all_gather(x).std(correction=0) * u for x, u in zip(real, draws)]
    return (gradient_norms(turn.critic, *between(real, perturbed)) - target).square().mean()


@requires(per_sample_scores)
@formula("½ E[‖∇{real_scores}‖²]")
def r1(turn: GANTurn) -> Tensor:
    """½ E_p[‖∇D(x)‖₂²] on real data (Mescheder et al. 2018, arXiv:1801.04406, Eq. 9); its weight is γ."""
    return squared_gradient_norms(turn.critic, *turn.real_critic_inputs).mean() / 2


@requires(per_sample_scores)
@formula("½ E[‖∇{fake_scores}‖²]")
def r2(turn: GANTurn) -> Tensor:
    """½ E_q[‖∇D(x)‖₂²] on fakes (Mescheder et al. 2018, arXiv:1801.04406, Eq. 10); its weight is γ."""
    return squared_gradient_norms(turn.critic, *turn.fake_critic_inputs).mean() / 2
