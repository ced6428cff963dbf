"""The bilinear game: each update scheme contracts or expands at the rate of its eigenvalues."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from gan_runner.sampling.critic import score

LR = 0.2  # of conf/experiment/toy/bilinear.yaml
MOMENTUM, WEIGHT = -0.5, 0.05  # of conf/optimizer/negative_momentum.yaml, conf/dynamics/historical_averaging.yaml

SPECTRAL_RADIUS = {
    "simultaneous": math.sqrt(1 + LR**2),
    "alternating": 1.0,
    "extragradient": math.sqrt(1 - LR**2 + LR**4),
    # z ← z − 2 lr J z + lr J z', J = ±i
    "optimistic": math.sqrt((1 + math.sqrt(1 - 4 * LR**2)) / 2),
    # (λ − 1)² (λ − β)² + lr² λ³ = 0
    "negative_momentum": max(
        abs(np.roots(np.polyadd(np.poly([1, 1, MOMENTUM, MOMENTUM]), [0, LR**2, 0, 0, 0]))),
    ),
}


def walk(make_system, steps, *options):
    """The points (steps + 1, 2) of the experiment, in float64."""
    system = make_system("experiment=toy/bilinear", *options)
    nn.ModuleDict(system.networks).double()
    for player in system.players:
        player.stateful_modules().double()
    data = iter(lambda: {"data": torch.tensor([system.dataset.point], dtype=torch.float64)}, None)
    points = [system.sample(system.noise(1, 0))[0]]
    for _ in range(steps):
        system.update_scheme(system.players, data)
        points.append(system.sample(system.noise(1, 0))[0])
    return torch.stack(points)


def outermost(points, step, turn=64):
    """The largest distance within the next two rotations: with alternating updates the points move on ellipses."""
    return points[step : step + turn].norm(dim=1).max()


@pytest.mark.parametrize("dynamics", SPECTRAL_RADIUS)
def test_rate_is_the_spectral_radius(make_system, dynamics):
    points = walk(make_system, 700, f"dynamics={dynamics}")
    rate = (outermost(points, 600) / outermost(points, 100)) ** (1 / 500)
    assert math.isclose(rate, SPECTRAL_RADIUS[dynamics], rel_tol=1e-4)


@pytest.mark.parametrize("dim", [1, 3])
def test_simultaneous_updates_rotate_and_grow_exactly(make_system, dim):
    start = list(range(1, dim + 1))
    point = [0.0] * 2 * dim
    options = [f"dataset.point={point}", f"model.generator.start={start}", "dynamics=simultaneous"]
    points = walk(make_system, 20, *options)
    x, y = torch.tensor(start, dtype=torch.float64), torch.ones(dim, dtype=torch.float64)
    for step in range(21):
        torch.testing.assert_close(points[step], torch.cat([x, y]), rtol=1e-12, atol=1e-12)
        x, y = x - LR * y, y + LR * x


def test_alternating_updates_stay_on_an_ellipse(make_system):
    x, y = walk(make_system, 300, "dynamics=alternating").T
    invariant = x**2 + y**2 + LR * x * y
    torch.testing.assert_close(invariant, invariant[:1].expand_as(invariant), rtol=1e-10, atol=1e-10)


def test_historical_averaging_spirals_in_and_then_follows_its_average(make_system):
    """1 − 2·w·lr a step at first; then as steps^(−1/(1 + 4w²)), by the analysis in its YAML."""
    early = walk(make_system, 200, "dynamics=historical_averaging")
    rate = (outermost(early, 130) / outermost(early, 10)) ** (1 / 120)
    assert math.isclose(rate, 1 - 2 * WEIGHT * LR, rel_tol=5e-3)
    late = walk(make_system, 2000, "dynamics=historical_averaging", "regularizer.historical_averaging.weight=0.5")
    exponent = (late[2000].norm() / late[500].norm()).log() / math.log(2000 / 500)
    assert math.isclose(exponent, -1 / 2, rel_tol=1e-2)


@pytest.mark.parametrize(("weight", "arrives"), [(0.9, True), (1.1, False)])
def test_historical_averaging_converges_up_to_a_weight(make_system, weight, arrives):
    weight *= 1 / LR - 1 / 2
    points = walk(
        make_system, 400, "dynamics=historical_averaging", f"regularizer.historical_averaging.weight={weight}"
    )
    assert (points[-1].norm() < points[0].norm()) == arrives


def test_extragradient_updates_from_the_origin_by_the_gradients_ahead(make_system):
    x, y = torch.ones(2, dtype=torch.float64)
    for x_, y_ in walk(make_system, 10, "dynamics=extragradient"):
        torch.testing.assert_close(torch.stack([x, y]), torch.stack([x_, y_]), rtol=1e-12, atol=1e-12)
        ahead_x, ahead_y = x - LR * y, y + LR * x
        x, y = x - LR * ahead_y, y + LR * ahead_x


def test_extragradient_with_adam_is_extra_adam(make_system):
    """Gidel et al. 2019, Algorithm 4: both halves update the moments and their count."""
    (beta1, beta2), lr, eps = (0.5, 0.9), 0.1, 1e-8
    options = ["optimizer=adam", f"optimizer.lr={lr}", "optimizer.betas=[0.5,0.9]", "play=extragradient"]
    points = walk(make_system, 10, *options)
    z = torch.ones(2, dtype=torch.float64)
    mean = square = torch.zeros(2)
    for t in range(10):
        torch.testing.assert_close(points[t], z, rtol=1e-10, atol=1e-10)
        point = z
        for half in (1, 2):
            gradient = torch.stack([point[1], -point[0]])
            mean, square = beta1 * mean + (1 - beta1) * gradient, beta2 * square + (1 - beta2) * gradient**2
            count = 2 * t + half
            direction = (mean / (1 - beta1**count)) / ((square / (1 - beta2**count)).sqrt() + eps)
            point = z - lr * direction
        z = point


def test_equilibrium_is_the_mean_of_the_data(make_system):
    points = walk(make_system, 600, "dataset.point=[3,-2]", "dynamics=extragradient")
    torch.testing.assert_close(points[-1], torch.tensor([3.0, -2.0]).double(), rtol=0, atol=1e-4)


def test_score_is_the_value_of_any_points(make_system):
    system = make_system("game=bilinear", "dataset.point=[0,0,0,0]")
    assert score(system, torch.tensor([[1.0, 2.0, 3.0, 4.0]])).tolist() == [11.0]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (
            "game=bilinear model=mlp",
            "game=bilinear plays with points, but model.discriminator is a MLPDiscriminator; choose model=point",
        ),
        ("game=bilinear dataset=digits", "choose dataset=point_mass"),
        ("game=bilinear dataset.point=[1,2,3]", "a point is half of a sample"),
        ("game=bilinear model.generator.start=[1,2]", "must be 1 numbers"),
        (
            "model=point dataset=ring8",
            "an option takes its value from model.latent, which this configuration does not have",
        ),
        ("game=bilinear regularizer=[r1]", "model.discriminator.norm is not possible: Point takes no such option"),
    ],
)
def test_options_that_cannot_work_are_refused_in_one_line(gan_run, line, complaint):
    code, _, err = gan_run(*line.split())
    assert code == 2
    assert complaint in err
    assert err.count("\n") == 1


def test_one_command_draws_all_trajectories(gan_run, tmp_path):
    code, out, err = gan_run("experiment=toy/bilinear", "trainer.steps=3", "logger.mode=disabled")
    assert code == 0, err
    (sweep,) = tmp_path.glob("outputs/multirun/*/*")
    assert len(list(sweep.glob("*/trajectory.csv"))) == 6
    assert (sweep / "trajectories.png").exists()
    assert "trajectories.png" in out


def test_one_update_scheme_alone_and_longer(gan_run, tmp_path):
    line = ["experiment=toy/bilinear", "hydra.mode=RUN", "dynamics=optimistic", "logger.mode=disabled"]
    assert gan_run(*line, "trainer.steps=9", "hydra.run.dir=whole")[0] == 0
    assert gan_run(*line, "trainer.steps=6", "hydra.run.dir=parts")[0] == 0
    with (tmp_path / "parts" / "trajectory.csv").open("a") as file:  # as left by a run that was killed later
        file.write("7,1.0,1.0\n8,0.5")
    code, _, err = gan_run("resume=parts", "trainer.steps=9")
    assert code == 0, err
    for name in ("trajectory.csv", "samples/step_0000009.png"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert (tmp_path / "whole" / "trajectory.csv").read_text().startswith("step,x,y\n0,1.0,1.0\n1,")
