"""Test that densities and entropies of codes equal torch's, and that the posterior reaches the bound on information."""

import math

import pytest
import torch
from torch import distributions

from gan_runner.models.codes import Categorical, Codes, Gaussian, Uniform

CPU = torch.device("cpu")
ALL = [Categorical(7), Uniform(2), Uniform(1, low=0.0, high=5.0, std=None), Gaussian(3), Gaussian(2, std=None)]
PRIORS = [
    distributions.OneHotCategorical(torch.ones(7)),
    distributions.Uniform(-torch.ones(2), torch.ones(2)),
    distributions.Uniform(torch.zeros(1), 5 * torch.ones(1)),
    distributions.Normal(torch.zeros(3), torch.ones(3)),
    distributions.Normal(torch.zeros(2), torch.ones(2)),
]

pytestmark = pytest.mark.usefixtures("_float64")


def distribution(code, outputs):
    """Q(c|x) as a distribution of torch."""
    if isinstance(code, Categorical):
        return distributions.OneHotCategorical(logits=outputs)
    mean, log_std = outputs.chunk(2, 1) if code.std is None else (outputs, torch.full_like(outputs, math.log(code.std)))
    return distributions.Independent(distributions.Normal(mean, log_std.exp()), 1)


@pytest.mark.parametrize("code", [*ALL, Uniform(2, std=0.3)], ids=repr)
def test_log_prob_equals_torchs(code):
    outputs, drawn = torch.randn(50, code.num_parameters), code.draw(50, CPU)
    torch.testing.assert_close(code.log_prob(outputs, drawn), distribution(code, outputs).log_prob(drawn))


@pytest.mark.parametrize(("code", "prior"), [*zip(ALL, PRIORS)], ids=[*map(repr, ALL)])
def test_entropy_equals_torchs_and_draws_follow_the_prior(code, prior):
    assert code.entropy == pytest.approx(prior.entropy().sum().item())
    drawn = code.draw(40_000, CPU, torch.Generator().manual_seed(0))
    assert drawn.shape == (40_000, code.dim)
    assert prior.support.check(drawn).all()
    spread = prior.variance.sqrt()
    assert ((drawn.mean(0) - prior.mean).abs() < 4.5 * spread / 200).all()
    assert (drawn.var(0) / prior.variance - 1).abs().max() < 0.05
    assert torch.equal(drawn, code.draw(40_000, CPU, torch.Generator().manual_seed(0)))


def test_a_learned_deviation_is_best_at_the_true_one():
    code, away = Gaussian(1, std=None), 0.3 * torch.randn(5000, 1)
    log_stds = torch.linspace(-2.5, 0.5, 61)
    scores = [code.log_prob(torch.tensor([[0.0, s]]).expand(5000, 2), away).mean() for s in log_stds]
    best = log_stds[torch.stack(scores).argmax()].exp().item()
    assert best == pytest.approx(away.square().mean().sqrt().item(), rel=0.05)


CHANNEL = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.0, 0.6, 0.3, 0.1], [0.2, 0.2, 0.2, 0.4]], dtype=torch.float64)
"""P(x | c) of three codes and four samples."""


def bound(logits):
    """The exact L_I of the channel for logits of Q (4, 3)."""
    codes = Codes({"c": Categorical(3)})
    pairs = [(c, x) for c in range(3) for x in range(4)]
    weights = torch.tensor([CHANNEL[c, x] / 3 for c, x in pairs])
    one_hot = torch.eye(3)[[c for c, _ in pairs]]
    values = codes.codes["c"].log_prob(logits[[x for _, x in pairs]], one_hot)
    return (weights * values).sum().item() + codes.codes["c"].entropy


def mutual_information():
    """I(c; x) = Σ P(c, x) log P(c, x) / P(c) P(x)."""
    joint = CHANNEL / 3
    independent = joint.sum(1, keepdim=True) * joint.sum(0)
    return (torch.xlogy(joint, joint) - torch.xlogy(joint, independent)).sum().item()


def test_bound_is_tight_for_the_posterior_only():
    posterior = (CHANNEL / CHANNEL.sum(0)).T
    logits = posterior.clamp(min=1e-300).log()
    assert bound(logits) == pytest.approx(mutual_information(), abs=1e-12)
    for seed in range(20):
        torch.manual_seed(seed)
        assert bound(logits + 0.3 * torch.randn(4, 3)) < mutual_information()


def test_gap_of_the_bound_is_the_divergence_from_the_posterior():
    """L_I = I − E KL(P(c|x) ‖ Q(c|x))."""
    logits, posterior, marginal = torch.randn(4, 3), (CHANNEL / CHANNEL.sum(0)).T, CHANNEL.mean(0)
    log_q = logits.log_softmax(1)
    gap = (marginal * (torch.xlogy(posterior, posterior) - posterior * log_q).sum(1)).sum().item()
    assert bound(logits) == pytest.approx(mutual_information() - gap, abs=1e-12)


def test_a_constant_q_gives_no_information():
    codes = Codes({"c": Categorical(10), "g": Gaussian(2)})
    drawn = codes.draw(20_000, CPU)
    found = codes.information(torch.zeros(20_000, codes.num_parameters), drawn)
    assert found["c"].item() == pytest.approx(0, abs=1e-12)
    assert found["g"].item() == pytest.approx(0, abs=0.03)


def test_information_of_a_gaussian_channel_is_its_capacity():
    """x = c + ε with ε ~ N(0, s²): I = ½ log(1 + 1/s²), and Q(c|x) = N(x / (1 + s²), s² / (1 + s²))."""
    noise, n = 0.5, 200_000
    c = torch.randn(n, 1)
    x = c + noise * torch.randn(n, 1)
    std = torch.full((n, 1), noise / math.sqrt(1 + noise**2))
    codes = Codes({"c": Gaussian(1, std=None)})
    found = codes.information(torch.cat([x / (1 + noise**2), std.log()], 1), c)["c"].item()
    assert found == pytest.approx(0.5 * math.log(1 + 1 / noise**2), abs=0.01)


def test_codes_and_outputs_split_into_their_parts():
    codes = Codes({"a": Categorical(3), "b": Uniform(2, std=None), "d": Gaussian(1)})
    assert (codes.dim, codes.num_parameters) == (6, 8)
    drawn = codes.draw(5, CPU)
    assert torch.equal(torch.cat([*codes.split(drawn).values()], 1), drawn)
    outputs = torch.randn(5, 8)
    assert [part.shape[1] for part in codes.split_outputs(outputs).values()] == [3, 4, 1]
    assert torch.equal(torch.cat([*codes.split_outputs(outputs).values()], 1), outputs)


def test_values_of_a_traversal():
    assert torch.equal(Categorical(4).values(9), torch.eye(4))
    torch.testing.assert_close(Uniform(1).values(5), torch.tensor([[-2.0], [-1], [0], [1], [2]]))
    torch.testing.assert_close(Uniform(1, low=0.0, high=1.0).values(3), torch.tensor([[-0.5], [0.5], [1.5]]))
    expected = torch.tensor([[-2.0, 0], [0, 0], [2, 0], [0, -2], [0, 0], [0, 2]])
    torch.testing.assert_close(Gaussian(2).values(3), expected)


def test_value_labels_show_the_dimension_that_varies():
    assert Categorical(3).value_labels(9) == ["0", "1", "2"]
    assert Uniform(low=0.0, high=1.0).value_labels(3) == ["-0.5", "0.5", "1.5"]
    assert Gaussian(dim=2).value_labels(4) == [
        f"{d}: {value}" for d in (1, 2) for value in ("-2", "-0.67", "0.67", "2")
    ]


def test_a_traversal_changes_one_code_only():
    codes = Codes({"a": Categorical(3), "b": Uniform(1), "d": Gaussian(2)})
    rows = codes.draw(4, CPU)
    shown = codes.traversal(rows, "b", 5).unflatten(0, (4, 5))
    torch.testing.assert_close(shown[:, :, 3], torch.linspace(-2, 2, 5).expand(4, 5))
    assert torch.equal(shown[:, :, [0, 1, 2, 4, 5]], rows[:, [0, 1, 2, 4, 5]].unsqueeze(1).expand(4, 5, 5))
    categories = codes.traversal(rows, "a", 5).unflatten(0, (4, 3))
    assert torch.equal(categories[:, :, :3], torch.eye(3).expand(4, 3, 3))
    with pytest.raises(ValueError, match="no code c; there are a, b, d"):
        codes.traversal(rows, "c", 5)


@pytest.mark.parametrize(
    ("make", "distribution"),
    [
        (lambda: Categorical(0), "size must be at least 1, not 0"),
        (lambda: Uniform(0), "dim must be at least 1, not 0"),
        (lambda: Uniform(1, low=1.0, high=1.0), "low=1 must be less than high=1"),
        (lambda: Gaussian(1, std=0.0), "std=0 must be positive, or null to be learned"),
        (lambda: Codes({}), "at least one code"),
        (lambda: Codes({"a": 3}), "a=3 is not a code"),
    ],
)
def test_what_cannot_be_is_said(make, distribution):
    with pytest.raises(ValueError, match=distribution):
        make()
