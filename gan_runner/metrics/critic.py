"""What a critic has learned, against the truth: for data and generators whose densities p and q are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gan_runner.datasets.base import HasDensity
from gan_runner.games.base import HasCritic
from gan_runner.losses.base import BoundsDivergence, Identifies
from gan_runner.losses.density_ratios import log_mean_exp
from gan_runner.metrics.base import metric
from gan_runner.metrics.optimal_transport import matched
from gan_runner.metrics.results import GivenScores, Results
from gan_runner.models.latents import Normal
from gan_runner.requirements import Requirement
from gan_runner.sampling.critic import critic_of, extra_fakes, has_unconditional_critic, identifies, score
from gan_runner.system import eval_mode

if TYPE_CHECKING:
    from gan_runner.system import System


def needs_critic(system: System) -> None:
    """Somebody must judge, and points alone."""
    if system.loss is None or not isinstance(system.game, HasCritic):
        raise ValueError("it looks at a critic's scores, and in this game nobody judges; leave it out")
    if not has_unconditional_critic(system):
        raise ValueError(
            "it looks at a critic's scores of points, and this one's are of points beside conditions or codes; leave "
            "it out, or choose game=gan"
        )


def needs_points(system: System) -> None:
    """The data must be points."""
    if len(system.dataset.shape) != 1:
        raise ValueError(f"it is about points, and this data has shape {list(system.dataset.shape)}; leave it out")


def needs_known_densities(system: System) -> None:
    """Both densities must be known."""
    if not isinstance(system.dataset, HasDensity):
        raise ValueError("this dataset has no known density; choose dataset=gaussian or another mixture")
    if not isinstance(system.networks.get("generator"), HasDensity) or not isinstance(system.game.latent, Normal):
        raise ValueError("this generator has no known density; choose model=gaussian")


def needs_identified(*kinds: Identifies) -> Requirement:
    """Require that an optimal critic of this loss identifies one of these about the densities."""

    def check(system: System) -> None:
        known = identifies(system) or "nothing"
        if extra_fakes(system):
            raise ValueError(
                f"it is about the densities of data and samples, and this critic judges {extra_fakes(system)}, too; "
                "leave it out"
            )
        if known not in kinds:
            raise ValueError(f"it needs a loss that identifies a {' or '.join(kinds)}, and this one's critic a {known}")

    return check


def needs_f_divergence(system: System) -> None:
    """The discriminator must estimate an f-divergence."""
    if system.dataset.shape != (2,):
        raise ValueError(
            f"it integrates over the plane, and this data has shape {list(system.dataset.shape)}; leave it out"
        )
    if not isinstance(system.loss, BoundsDivergence):
        raise ValueError("it needs a loss that bounds an f-divergence; choose loss=fgan_kl, lsif or another of them")


def true_log_ratio(results: Results, x: Tensor) -> Tensor:
    """log p/q of points (n, *shape): (n,)."""
    data, generator = results.dataset, results.system.networks["generator"]
    assert isinstance(data, HasDensity)
    assert isinstance(generator, HasDensity)
    with torch.no_grad():
        return data.log_prob(x) - generator.log_prob(x)


def scores_and_log_ratios(results: Results) -> tuple[Tensor, Tensor]:
    """Scores and true log ratios (n,) of data and samples together: points of the mixture of p and q."""
    truth = torch.cat([true_log_ratio(results, results.real), true_log_ratio(results, results.samples)])
    return torch.cat([results.real_scores, results.fake_scores]), truth


OFFSETS: Mapping[Identifies, Callable[[Tensor], Tensor | float]] = {
    "ratio": lambda fakes: 0.0,
    "relative": log_mean_exp,
}
"""What the log ratios of fakes say that must be subtracted, so that E_q[p/q] = 1."""


@metric(log_ratio_error=min, requires=(needs_critic, needs_known_densities, needs_identified("ratio", "relative")))
def log_ratio(results: Results, limit: float = 4.0) -> dict[str, float]:
    """Mean |log r̂ − log p/q| in nats over the mixture of p and q, where r̂ is the ratio that the critic implies.

    Both are first cut to ±limit: beyond it one density is next to nothing, and an estimate may be infinite.
    """
    loss: Any = results.loss
    scores, truth = scores_and_log_ratios(results)
    implied = loss.log_ratio(scores) - OFFSETS[loss.identifies](loss.log_ratio(results.fake_scores))
    error = implied.clamp(-limit, limit) - truth.clamp(-limit, limit)
    return {"log_ratio_error": error.abs().mean().item()}


@metric(sign_error=min, requires=(needs_critic, needs_known_densities, needs_identified("sign")))
def sign(results: Results) -> dict[str, float]:
    """The share of the mixture of p and q where the critic errs about which density is larger."""
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
    """|bound − D_f(p‖q)| / |D_f(p‖q)|: how far the critic's bound is from the divergence, as a share of it.

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


@metric(transport_gap=min, requires=(needs_critic, needs_points, needs_identified("potential")))
def transport(results: Results, n: int = 2000) -> dict[str, float]:
    """1 − (E_p[D] − E_q[D]) / (K W₁), over n of the data and n samples: what the critic misses of their exact W₁.

    K is the steepest slope of the critic on the lines of the optimal transport. By Kantorovich's duality no critic of
    slope K exceeds K W₁ (Villani 2009, Theorem 5.10), so the gap is not negative.
    """
    real, fake = matched(results.real[:n], results.samples[:n])
    scores = [score(results.system, x).double().mean() for x in (real, fake)]
    distances = (real - fake).flatten(1).norm(dim=1)
    steepest = slopes(results.system, real, fake).max()
    return {"transport_gap": 1 - ((scores[0] - scores[1]) / (steepest * distances.double().mean())).item()}


def slopes(system: System, start: Tensor, end: Tensor, nodes: int = 8) -> Tensor:
    """The critic's gradient norms at `nodes` points on each line from start to end: (n · nodes,)."""
    shares = torch.linspace(0, 1, nodes, device=start.device).view(-1, *[1] * start.dim())
    x = (start + shares * (end - start)).flatten(0, 1).requires_grad_()
    with eval_mode(system.networks):
        (gradient,) = torch.autograd.grad(critic_of(system).score(system.networks, x).sum(), x)
    return gradient.flatten(1).norm(dim=1)
