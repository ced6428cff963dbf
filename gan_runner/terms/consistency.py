"""Consistency regularisation: the discriminator's score must not change under augmentations of the image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gan_runner.games.gan import GANTurn
from gan_runner.models.layers.diff_augment import translation
from gan_runner.models.networks import Discriminator
from gan_runner.models.sizes import require_images
from gan_runner.requirements import requires
from gan_runner.tools import per_sample
from gan_runner.tools.formulas import Symbols, formula, number


def on_images(networks: Mapping[str, nn.Module]) -> None:
    """Check that the networks take images."""
    for network in networks.values():
        for module in network.modules():
            if isinstance(module, Discriminator):
                require_images("it", module.shape)


def mirror(x: Tensor) -> Tensor:
    """Every image (n, c, h, w) mirrored left to right with probability ½."""
    heads = per_sample.rand(len(x), 1, 1, 1, device=x.device) < 0.5
    return torch.where(heads, x.flip(3), x)


def augmented(x: Tensor, shift: float, flip: bool) -> Tensor:
    """T(x): each image shifted by up to the fraction `shift` of its side, padded with zeros, and perhaps mirrored."""
    return translation(mirror(x) if flip else x, shift)


def transform(term: Any, symbols: Symbols) -> str:
    """The definition of T in formulas."""
    return f"T: shifted by up to {number(term.shift)} of the side{', perhaps mirrored' * term.flip}"


@requires(on_images)
@formula("E[({real_scores} − {real_scores:T(·)})²]", transform)
def consistency(turn: GANTurn, shift: float = 1 / 8, flip: bool = False) -> Tensor:
    """E_p[(D(x) − D(T(x)))²] on real data (Zhang et al. 2020, arXiv:1910.12027, Algorithm 1)."""
    x, *codes = turn.real_critic_inputs
    return (turn.real_scores - turn.critic(augmented(x, shift, flip), *codes)).square().mean()


@requires(on_images)
@formula("E[({fake_scores} − {fake_scores:T(·)})²]", transform)
def fake_consistency(turn: GANTurn, shift: float = 1 / 8, flip: bool = False) -> Tensor:
    """E_q[(D(x) − D(T(x)))²] on fakes (Zhao et al. 2020, arXiv:2002.04724, Algorithm 1)."""
    x, *codes = turn.fake_critic_inputs
    return (turn.fake_scores - turn.critic(augmented(x, shift, flip), *codes)).square().mean()
