"""Penalties on the gradient of the critic with respect to its input.

The norm is taken per sample, over all elements of that sample: ‖∇ₓD(xᵢ)‖₂ for each i.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_runner.games.gan import GANTurn
from gan_runner.precision import full_precision
from gan_runner.requirements import requires
from gan_runner.sharding import gather, share, whole


def per_sample_scores(networks: Mapping[str, nn.Module]) -> None:
    """No batch normalisation: the gradient of one score by its own input is what a penalty is about.

    Minibatch discrimination also ties samples together, but weakly, and is used with penalties in practice
    (Karras et al. 2018, arXiv:1710.10196), so it is allowed. Networks on which no score depends may do as they like.
    """
    for name, network in networks.items():
        if getattr(network, "judges", True) and any(isinstance(module, _BatchNorm) for module in network.modules()):
            whole = hasattr(network, "norm")  # or made of networks that have one each
            option = f"model.{name}.norm" if whole else "model.discriminator.norm or model.generator.norm"
            raise ValueError(
                "a gradient penalty needs each score to depend on its own sample alone, and "
                f"{option}=batch mixes the batch; choose {option}=none, layer, instance or virtual"
            )


def squared_gradient_norms(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """‖∇ₓ critic(xᵢ)‖₂² for each sample: x is (n, *shape), the result (n,), differentiable in the weights."""
    x = x if x.requires_grad else x.detach().requires_grad_()
    with full_precision(x):
        (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return gradient.flatten(1).square().sum(1)


def gradient_norms(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """‖∇ₓ critic(xᵢ)‖₂ for each sample: (n,). The root's own gradient stays finite where the norm is zero."""
    return (squared_gradient_norms(critic, x) + 1e-12).sqrt()


def one_number_a_sample(x: Tensor) -> Tensor:
    """U(0, 1), one draw a sample, broadcastable over x (n, *shape)."""
    return share(torch.rand(whole(len(x)), *[1] * (x.dim() - 1), device=x.device, dtype=x.dtype))


@requires(per_sample_scores)
def gradient_penalty(turn: GANTurn, target: float = 1.0) -> Tensor:
    """E[(‖∇D(x̂)‖₂ − target)²] on lines from real to fake (Gulrajani et al. 2017, arXiv:1704.00028, Eq. 3)."""
    real, fake = turn.real, turn.fake
    between = real + one_number_a_sample(real) * (fake - real)
    return (gradient_norms(turn.critic, between) - target).square().mean()


@requires(per_sample_scores)
def dragan(turn: GANTurn, target: float = 1.0, scale: float = 0.5) -> Tensor:
    """E[(‖∇D(x + δ)‖₂ − target)²] around the data (Kodali et al. 2017, arXiv:1705.07215, Section 2.3).

    As the authors' code, δ = scale · std(x) · U[0, 1) elementwise with the standard deviation of the whole
    batch, so that it perturbs to one side, and the penalised point lies at a random place on the way there.
    """
    real = turn.real
    share_of_std = share(torch.rand(whole(len(real)), *real.shape[1:], device=real.device, dtype=real.dtype))
    perturbed = real + scale * gather(real).std(correction=0) * share_of_std
    between = real + one_number_a_sample(real) * (perturbed - real)
    return (gradient_norms(turn.critic, between) - target).square().mean()


@requires(per_sample_scores)
def r1(turn: GANTurn) -> Tensor:
    """½ E_p[‖∇D(x)‖₂²] on real data (Mescheder et al. 2018, arXiv:1801.04406, Eq. 9); its weight is γ."""
    return squared_gradient_norms(turn.critic, turn.real).mean() / 2


@requires(per_sample_scores)
def r2(turn: GANTurn) -> Tensor:
    """½ E_q[‖∇D(x)‖₂²] on fakes (Mescheder et al. 2018, arXiv:1801.04406, Eq. 10); its weight is γ."""
    return squared_gradient_norms(turn.critic, turn.fake).mean() / 2
