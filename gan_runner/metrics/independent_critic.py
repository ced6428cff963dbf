"""Wasserstein distance as a critic sees it that has no part in the game."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gan_runner.datasets.base import evaluation_split
from gan_runner.metrics.base import metric
from gan_runner.models.dcgan import DCGANDiscriminator, resolutions
from gan_runner.models.mlp import MLPDiscriminator
from gan_runner.models.sizes import at_least_one
from gan_runner.terms.gradient_penalties import gradient_norms

if TYPE_CHECKING:
    from gan_runner.metrics.results import Results
    from gan_runner.system import System


def make_critic(shape: tuple[int, ...]) -> nn.Module:
    """A critic (n, *shape) → (n,): convolutional for images whose side halves well, else fully connected."""
    try:
        resolutions(shape)
    except ValueError:
        return MLPDiscriminator(shape, width=128, depth=3)
    return DCGANDiscriminator(shape, width=32, norm="none")


def typical_distance(x: Tensor, y: Tensor) -> Tensor:
    """√E‖x − y‖² over all pairs of x (n, *shape) and y (m, *shape), a scalar and at least W₁."""
    x, y = x.flatten(1).double(), y.flatten(1).double()
    spread = x.var(0, correction=0).sum() + y.var(0, correction=0).sum()
    return ((x.mean(0) - y.mean(0)).square().sum() + spread).sqrt()


def independent_wasserstein(
    real: Tensor,
    fake: Tensor,
    real_test: Tensor,
    fake_test: Tensor,
    steps: int = 1000,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    weight: float = 10.0,
    seed: int = 0,
) -> float:
    """E_real D − E_fake D, in units of the data, of an independent Wasserstein critic D on points that it has not seen
    (Danihelka et al. 2017, arXiv:1705.05263).

    D is trained from scratch with a gradient penalty on lines between real and fake (Gulrajani et al. 2017,
    arXiv:1704.00028, Eq. 3), of slopes above one only (Petzka et al. 2018, arXiv:1709.08894). With weight λ it settles
    at a slope of about 1 + W₁/2λ, so distances are measured in units in which W₁ ≤ 1. The figure is W₁ as far as D
    finds it, and may be negative; what D learns by heart does not count.

    It draws numbers of its own: the random state stays as it was. A seed gives the same figure again, on a GPU up to
    rounding.

    Args:
        real: data (n, *shape) to train on.
        fake: samples (m, *shape) to train on.
        real_test: other data (k, *shape).
        fake_test: other samples (l, *shape).
        steps: of Adam.
        batch_size: of data, and of samples, drawn with replacement.
        learning_rate: at first; it falls linearly to zero.
        weight: λ of the gradient penalty.
        seed: of weights and draws.

    Raises:
        ValueError: a size is below one.
    """
    at_least_one(steps=steps, batch_size=batch_size)
    device, unit = real.device, typical_distance(real, fake).clamp(min=torch.finfo(torch.float32).tiny)
    with torch.random.fork_rng([]), torch.enable_grad():
        torch.random.default_generator.manual_seed(seed)  # torch.manual_seed would also seed every GPU
        critic = make_critic(tuple(real.shape[1:])).to(device)
        optimizer = torch.optim.Adam(critic.parameters(), lr=learning_rate, betas=(0.5, 0.9))
        for step in range(steps):
            x, y = ((data[torch.randint(len(data), (batch_size,)).to(device)] / unit).float() for data in (real, fake))
            share = torch.rand(batch_size, *[1] * (x.dim() - 1)).to(device)
            penalty = (gradient_norms(critic, x + share * (y - x)) - 1).relu().square().mean()
            loss = critic(y).mean() - critic(x).mean() + weight * penalty
            optimizer.param_groups[0]["lr"] = learning_rate * (1 - step / steps)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        scores = [
            torch.cat([critic((part / unit).float()) for part in data.split(1000)]) for data in (real_test, fake_test)
        ]
    return (unit * (scores[0].double().mean() - scores[1].double().mean())).item()


def held_out(system: System) -> None:
    """The data must have a split that was not trained on."""
    if "test" not in system.dataset.splits and "validation" not in system.dataset.splits:
        raise ValueError("it needs data that was not trained on; set dataset.held_out=1000, or choose other data")


@metric(
    independent_wasserstein=min,
    requires=(held_out,),
    conditions={"split": lambda splits, selecting: evaluation_split(splits)},
)
def independent_critic(results: Results, n: int = 5000, steps: int = 1000, seed: int = 0) -> dict[str, float]:
    """W₁ as an independent critic finds it: trained and measured on data that the game has not seen, half of it each.

    In units of the data. `independent_wasserstein_of_data` is the same of data against other data: what is left of it
    where samples are perfect.

    Args:
        results: whose samples are judged.
        n: samples, and held-out data, at most.
        steps: of the critic.
        seed: of the critic.
    """
    split = evaluation_split(results.dataset.splits)
    real = results.reference.split(split).real(n)
    learned, judged = real.chunk(2)
    fake_learned, fake_judged = results.samples[:n].chunk(2)
    seen = results.reference.split("train").real(n).chunk(2)
    return {
        "independent_wasserstein": independent_wasserstein(
            learned, fake_learned, judged, fake_judged, steps, seed=seed
        ),
        "independent_wasserstein_of_data": independent_wasserstein(learned, seen[0], judged, seen[1], steps, seed=seed),
    }
