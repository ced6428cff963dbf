"""Parallel lines: the closed forms by counting, the generator's push by hand, and the picture of a sweep."""

import math
from types import SimpleNamespace

import pytest
import torch

from gan_runner.datasets.toy import ParallelLines
from gan_runner.metrics.push import push
from gan_runner.metrics.results import Reference, Results
from gan_runner.models.line import Line
from gan_runner.plots.divergences import ANALYTIC, curves, draw_divergences

LINES = ["dataset=parallel_lines", "model=line", "model.generator.theta=0.5"]


@pytest.mark.parametrize("theta", [-1.0, -0.1, 0.0, 0.3])
def test_closed_forms_are_those_of_any_two_measures_that_meet_or_do_not(theta):
    """On the two cells {x = 0} and {x = θ}: sums over cells with p = (1, 0) and q = (0, 1), or both in one."""
    p, q = ([1.0], [1.0]) if theta == 0 else ([1.0, 0.0], [0.0, 1.0])

    def kl(a, b):
        return sum(0 if x == 0 else math.inf if y == 0 else x * math.log(x / y) for x, y in zip(a, b))

    middle = [(x + y) / 2 for x, y in zip(p, q)]
    assert ANALYTIC["KL(p‖q)"](theta) == kl(p, q)
    assert ANALYTIC["KL(q‖p)"](theta) == kl(q, p)
    assert ANALYTIC["JS"](theta) == pytest.approx((kl(p, middle) + kl(q, middle)) / 2)
    assert ANALYTIC["W₁"](theta) == abs(theta)


def test_points_lie_on_the_lines_evenly():
    points, line = ParallelLines(positions=(-1.0, 2.0)).sample(4000, torch.Generator().manual_seed(0))
    assert torch.equal(points[:, 0], torch.tensor([-1.0, 2.0])[line])
    assert line.double().mean() == pytest.approx(0.5, abs=0.03)
    heights = points[:, 1].sort().values
    assert (heights - torch.linspace(0, 1, 4000)).abs().max() < 0.03


def test_positions_must_be_finite():
    for positions in ((), (math.inf,)):
        with pytest.raises(ValueError, match=r"dataset\.positions must be finite numbers"):
            ParallelLines(positions=positions)


def test_a_line_is_where_theta_says():
    points = Line(1, (2,), theta=0.7)(torch.tensor([[0.2], [0.9]]))
    torch.testing.assert_close(points, torch.tensor([[0.7, 0.2], [0.7, 0.9]]))


@pytest.mark.parametrize(("latent_dim", "shape"), [(2, (2,)), (1, (1, 8, 8))])
def test_a_line_lies_in_the_plane(latent_dim, shape):
    with pytest.raises(ValueError, match="choose dataset=parallel_lines"):
        Line(latent_dim, shape)


def test_push_of_the_saturating_game_dies_where_that_of_wgan_does_not(make_system):
    """With the critic s(x) = −a·x₀ at θ: ∂/∂θ log(1 − σ(s)) = a σ(−aθ) → 0 for large aθ, and ∂/∂θ(−s) = a."""
    for loss, expected in {
        "minimax": lambda a, t: -a / (1 + math.exp(a * t)),
        "non_saturating": lambda a, t: -a / (1 + math.exp(-a * t)),
        "wgan": lambda a, t: -a,
    }.items():
        system = make_system(*LINES, f"loss={loss}")
        for slope in (1.0, 40.0):
            head = torch.tensor([-slope, 0.0])
            critic = system.networks["discriminator"]
            critic.features = lambda x: x
            critic.score = lambda features, x, condition=None, head=head: features @ head
            figures = push(Results(system, system.noise(10, 0), Reference(system.dataset, 10, system.device)))
            assert figures["push"] == pytest.approx(expected(slope, 0.5), rel=1e-4)


def run(loss, theta, value):
    overrides = [f"loss={loss}", f"model.generator.theta={theta}", "experiment=toy/divergences"]
    outcome = {"final": {"metric/critic_value": value, "metric/push": -theta}}
    return SimpleNamespace(overrides=overrides, outcome=outcome)


def test_a_sweep_becomes_curves_and_a_picture(tmp_path):
    runs = [run("wgan_gp", theta, abs(theta)) for theta in (0.5, -1.0, 0.0)]
    failed = SimpleNamespace(overrides=["loss=wgan_gp", "model.generator.theta=1.0"], outcome={"status": "failed"})
    assert curves([*runs, failed], "critic_value") == {"wgan_gp": [(-1.0, 1.0), (0.0, 0.0), (0.5, 0.5)]}
    draw_divergences(tmp_path / "a.png", curves(runs, "critic_value"), curves(runs, "push"))
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    draw_divergences(tmp_path / "empty.png", {}, {})


def test_experiment_is_one_command(gan_run, tmp_path):
    code, out, _ = gan_run(
        "experiment=toy/divergences",
        "loss=fgan_js,wgan_gp",
        "model.generator.theta=-0.5,0.5",
        "trainer.steps=3",
        "logger.mode=disabled",
        "hydra.sweep.dir=sweep",
    )
    assert code == 0
    assert "divergences, estimated and analytic: sweep/divergences.png" in out.replace("\n", "")
    assert (tmp_path / "sweep" / "divergences.png").exists()
    assert len(list((tmp_path / "sweep").glob("*/summary.json"))) == 4
