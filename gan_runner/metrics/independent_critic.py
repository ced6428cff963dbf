"""Wasserstein distance estimated by an independent critic, which does not take part in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gan_runner.datasets.base import evaluation_split
from gan_runner.metrics.base import Positive, TwoOrMore, metric
from gan_runner.metrics.results import Results
from gan_runner.models.dcgan import DCGANDiscriminator, resolutions
from gan_runner.models.mlp import MLPDiscriminator
from gan_runner.models.sizes import at_least_one
from gan_runner.terms.gradient_penalties import gradient_norms
from gan_runner.tools.activity import Activity

if TYPE_CHECKING:
    from gan_runner.system import System


def make_critic(shape: tuple[int, ...]) -> nn.Module:
    """Return a critic (n, *shape) → (n,): convolutional if the image size suits DCGAN, else an MLP."""
    try:
        resolutions(shape)
    except ValueError:
        return MLPDiscriminator(shape, width=128, depth=3)
    return DCGANDiscriminator(shape, width=32, norm="none")


def typical_distance(x: Tensor, y: Tensor) -> Tensor:
    """Return √E‖x − y‖² over all pairs of x (n, *shape) and y (m, *shape), a scalar and an upper bound of W₁."""
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
    """Train an independent Wasserstein critic D and return E_real D − E_fake D on unseen data, in units of the data
    (Danihelka et al. 2017, arXiv:1705.05263).

    D is trained from scratch with a gradient penalty on lines between real and fake (Gulrajani et al. 2017,
    arXiv:1704.00028, Eq. 3), applied only to norms above one (Petzka et al. 2018, arXiv:1709.08894). With weight λ the
    norm settles at about 1 + W₁/2λ, so distances are measured in units in which W₁ ≤ 1. The value underestimates W₁ and
    may be negative. It is measured on test data, so overfitting of D does not increase it.

    The random state of the run is unchanged. The same seed gives the same value, on a GPU up to rounding.

    Args:
        real: data (n, *shape) to train on.
        fake: samples (m, *shape) to train on.
        real_test: data (k, *shape) to test on.
        fake_test: samples (l, *shape) to test on.
        steps: steps of Adam.
        batch_size: real and fake samples per step, drawn with replacement.
        learning_rate: initial learning rate; it decays linearly to zero.
        weight: λ of the gradient penalty.
        seed: seed of weights and batches.

    Raises:
        ValueError: a size is below one.
    """
    at_least_one(steps=steps, batch_size=batch_size)
    device, unit = real.device, typical_distance(real, fake).clamp(min=torch.finfo(torch.float32).tiny)
    with torch.random.fork_rng([]), torch.enable_grad():
        torch.random.default_generator.manual_seed(seed)  # torch.manual_seed would also seed every GPU
        critic = make_critic(tuple(real.shape[1:])).to(device)
        optimizer = torch.optim.Adam(critic.parameters(), lr=learning_rate, betas=(0.5, 0.9))
        with Activity("training the independent critic", steps, "steps") as activity:
            for activity.done in range(steps):
                x, y = (
                    (data[torch.randint(len(data), (batch_size,)).to(device)] / unit).float() for data in (real, fake)
                )
                share = torch.rand(batch_size, *[1] * (x.dim() - 1)).to(device)
                penalty = (gradient_norms(critic, x + share * (y - x)) - 1).relu().square().mean()
                loss = critic(y).mean() - critic(x).mean() + weight * penalty
                optimizer.param_groups[0]["lr"] = learning_rate * (1 - activity.done / steps)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        scores = [
            torch.cat([critic((part / unit).float()) for part in data.split(1000)]) for data in (real_test, fake_test)
        ]
    return (unit * (scores[0].double().mean() - scores[1].double().mean())).item()


def needs_held_out_data(system: System) -> None:
    """Require data with a split that is not trained on."""
    if "test" not in system.dataset.splits and "validation" not in system.dataset.splits:
        raise ValueError("it needs held-out data; set dataset.held_out=1000, or choose a dataset with a test split")


@metric(
    independent_wasserstein=min,
    least_samples=2,
    requires=(needs_held_out_data,),
    conditions={"split": evaluation_split},
    counts=lambda options, samples, real: {"samples": min(samples, options["n"]), "real": None},  # it reads other data
)
def independent_critic(
    results: Results, n: TwoOrMore = 5000, steps: Positive = 1000, seed: int = 0
) -> dict[str, float]:
    """W₁ estimated by an independent critic, trained on one half of the held-out data and tested on the other half.

    It is in units of the data. `independent_wasserstein_of_data` compares held-out data with training data instead of
    samples: the value that perfect samples would have.

    Args:
        results: results with the samples.
        n: maximal number of samples, and of held-out data.
        steps: training steps of the critic.
        seed: seed of the critic.
    """
    split = evaluation_split(results.dataset.splits, results.reference.selecting)
    real = results.reference.split(split).real(n)
    real_train, real_test = real.chunk(2)
    fake_train, fake_test = results.samples[:n].chunk(2)
    data_train, data_test = results.reference.split("train").real(n).chunk(2)
    return {
        "independent_wasserstein": independent_wasserstein(
            real_train, fake_train, real_test, fake_test, steps, seed=seed
        ),
        "independent_wasserstein_of_data": independent_wasserstein(
            real_train, data_train, real_test, data_test, steps, seed=seed
        ),
    }
