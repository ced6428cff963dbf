"""How well a critic has learned, measured on data and generators whose densities p and q are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gan_runner.datasets.base import HasDensity
from gan_runner.games.base import HasCritic
from gan_runner.losses.base import BoundsDivergence, Identifies
from gan_runner.losses.density_ratios import log_mean_exp
from gan_runner.metrics.base import Positive, at_most, metric
from gan_runner.metrics.optimal_transport import match_optimally
from gan_runner.metrics.results import GivenScores, Results
from gan_runner.models.latents import Normal
from gan_runner.requirements import Requirement
from gan_runner.sampling.critic import critic_of, extra_fakes, has_unconditional_critic, identifies, score
from gan_runner.system import eval_mode

if TYPE_CHECKING:
    from gan_runner.system import System


def needs_critic(system: System) -> None:
    """Require an unconditional critic."""
    if system.loss is None or not isinstance(system.game, HasCritic):
        raise ValueError("it needs a critic's scores, and this game has no critic; leave it out")
    if not has_unconditional_critic(system):
        raise ValueError(
            "it needs an unconditional critic, and this one also takes conditions or codes; leave it out, or choose "
            "game=gan"
        )


def needs_points(system: System) -> None:
    """Require data that is points."""
    if len(system.dataset.shape) != 1:
        raise ValueError(f"it needs points, and this data has shape {list(system.dataset.shape)}; leave it out")


def needs_known_densities(system: System) -> None:
    """Require known densities of data and generator."""
    if not isinstance(system.dataset, HasDensity):
        raise ValueError("this dataset has no known density; choose dataset=gaussian or another mixture")
    if not isinstance(system.networks.get("generator"), HasDensity) or not isinstance(system.game.latent, Normal):
        raise ValueError("this generator has no known density; choose model=gaussian")


def needs_identified(*kinds: Identifies) -> Requirement:
    """Require a loss whose optimal critic identifies one of these: ratio, relative ratio, sign, potential."""

    def check(system: System) -> None:
        known = identifies(system) or "nothing"
        if extra_fakes(system):
            raise ValueError(
                f"it needs a critic of data and samples alone; this one also scores {extra_fakes(system)}; leave it out"
            )
        if known not in kinds:
            raise ValueError(
                f"it needs a loss whose critic identifies a {' or '.join(kinds)}, and this one identifies a {known}"
            )

    return check


def needs_f_divergence(system: System) -> None:
    """Require data in the plane, and a loss that bounds an f-divergence."""
    if system.dataset.shape != (2,):
        raise ValueError(
            f"it integrates over the plane, and this data has shape {list(system.dataset.shape)}; leave it out"
        )
    if not isinstance(system.loss, BoundsDivergence):
        raise ValueError("it needs a loss that bounds an f-divergence; choose one, such as loss=fgan_kl or loss=lsif")


def true_log_ratio(results: Results, x: Tensor) -> Tensor:
    """Return the true log p/q (n,) of points (n, *shape)."""
    data, generator = results.dataset, results.system.networks["generator"]
    assert isinstance(data, HasDensity)
    assert isinstance(generator, HasDensity)
    with torch.no_grad():
        return data.log_prob(x) - generator.log_prob(x)


def scores_and_log_ratios(results: Results) -> tuple[Tensor, Tensor]:
    """Return scores and true log ratios (n,) of data and samples together, which follow the mixture of p and q."""
    truth = torch.cat([true_log_ratio(results, results.real), true_log_ratio(results, results.samples)])
    return torch.cat([results.real_scores, results.fake_scores]), truth


OFFSETS: Mapping[Identifies, Callable[[Tensor], Tensor | float]] = {
    "ratio": lambda fakes: 0.0,
    "relative": log_mean_exp,
}
"""The constant to subtract, computed from the log ratios of fakes, so that E_q[p/q] = 1."""


@metric(log_ratio_error=min, requires=(needs_critic, needs_known_densities, needs_identified("ratio", "relative")))
def log_ratio(results: Results, limit: float = 4.0) -> dict[str, float]:
    """Mean |log r̂ − log p/q| in nats over the mixture of p and q, where r̂ is the ratio that the critic implies.

    Both are first clamped to ±limit, since beyond it one density is almost zero and an estimate may be infinite.
    """
    loss: Any = results.loss
    scores, truth = scores_and_log_ratios(results)
    implied = loss.log_ratio(scores) - OFFSETS[loss.identifies](loss.log_ratio(results.fake_scores))
    error = implied.clamp(-limit, limit) - truth.clamp(-limit, limit)
    return {"log_ratio_error": error.abs().mean().item()}


@metric(sign_error=min, requires=(needs_critic, needs_known_densities, needs_identified("sign")))
def sign(results: Results) -> dict[str, float]:
    """The fraction of the mixture of p and q on which the critic is wrong about which density is larger."""
    loss: Any = results.loss
    scores, truth = scores_and_log_ratios(results)
    return {"sign_error": (loss.sign(scores) != truth.sign()).double().mean().item()}


@metric(order_error=min, requires=(needs_critic, needs_known_densities))
def order(results: Results) -> dict[str, float]:
    """1 − Spearman's rank correlation between scores and true log ratios, over the mixture of p and q."""
    ranks = torch.stack([values.argsort().argsort().double() for values in scores_and_log_ratios(results)])
    return {"order_error": 1 - torch.corrcoef(ranks)[0, 1].item()}


@metric(divergence_gap=min, requires=(needs_critic, needs_known_densities, needs_f_divergence))
def divergence(results: Results, reach: float = 8.0, nodes: int = 801) -> dict[str, float]:
    """Relative error |bound − D_f(p‖q)| / |D_f(p‖q)| of the critic's bound on the divergence.

    D_f is ∫ q f(p/q) over the square of ±reach, by the midpoint rule on nodes² points.
    """
    loss: Any = results.loss
    generator: Any = results.system.networks["generator"]
    step = 2 * reach / nodes
    axis = (torch.arange(nodes, dtype=torch.float64, device=results.real.device) + 0.5) * step - reach
    points = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        density = generator.log_prob(points).exp()
    exact = (density * loss.f(true_log_ratio(results, points))).sum() * step**2
    bound = -loss.discriminator(GivenScores(results.real_scores.double(), results.fake_scores.double()))
    return {"divergence_gap": ((bound - exact) / exact).abs().item()}


@metric(transport_gap=min, requires=(needs_critic, needs_points, needs_identified("potential")), counts=at_most("n"))
def transport(results: Results, n: Positive = 2000) -> dict[str, float]:
    """1 − (E_p[D] − E_q[D]) / (K W₁): the fraction of the exact W₁ that the critic misses, on n reals and n fakes.

    K is the largest gradient norm of the critic on the lines of the optimal transport. By Kantorovich duality no critic
    with slope K exceeds K W₁ (Villani 2009, Theorem 5.10), so the gap is not negative.
    """
    real, fake = match_optimally(results.real[:n], results.samples[:n])
    scores = [score(results.system, x, mode=eval_mode).double().mean() for x in (real, fake)]
    distances = (real - fake).flatten(1).norm(dim=1)
    steepest = gradient_norms_between(results.system, real, fake).max()
    return {"transport_gap": 1 - ((scores[0] - scores[1]) / (steepest * distances.double().mean())).item()}


def gradient_norms_between(system: System, start: Tensor, end: Tensor, nodes: int = 8) -> Tensor:
    """Return the critic's gradient norms at `nodes` points on each line from start to end: (n · nodes,)."""
    fractions = torch.linspace(0, 1, nodes, device=start.device).view(-1, *[1] * start.dim())
    x = (start + fractions * (end - start)).flatten(0, 1).requires_grad_()
    with eval_mode(system.networks):
        (gradient,) = torch.autograd.grad(critic_of(system).score(system.networks, x).sum(), x)
    return gradient.flatten(1).norm(dim=1)
