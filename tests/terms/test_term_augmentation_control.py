"""The controller of adaptive augmentation: the direction and speed of p."""

import pytest
import torch
from tiny_game import turn_of
from torch import nn

from gan_runner.losses.bernoulli import NonSaturating
from gan_runner.losses.hinge import Hinge
from gan_runner.losses.least_squares import LeastSquares
from gan_runner.losses.wasserstein import Wasserstein
from gan_runner.models.layers.adaptive_augmentation import AdaptiveAugmentation
from gan_runner.terms.augmentation_control import AugmentationControl


def controlled(loss=None, **knobs):
    layer = AdaptiveAugmentation((1, 8, 8))
    return layer, AugmentationControl({"discriminator": nn.Sequential(layer)}, loss or NonSaturating(), **knobs)


def scored(*scores):
    """A turn in which real samples have these scores."""
    real = torch.tensor(scores).view(-1, 1)
    return turn_of(lambda x: x[:, 0], real, torch.zeros_like(real))


def test_positive_scores_raise_p_to_one_in_the_given_number_of_images():
    layer, control = controlled(images=160)
    for move in range(1, 60):
        assert control(scored(*[3.0] * 8)) == 1
        torch.testing.assert_close(layer.p, torch.tensor(min(1.0, 8 * 4 * (move // 4) / 160)))


def test_negative_scores_lower_p_to_zero():
    layer, control = controlled(images=160)
    layer.p.fill_(0.5)
    for move in range(1, 30):
        assert control(scored(-1.0, 1.0, -2.0, 2.0)) == 0
        torch.testing.assert_close(layer.p, torch.tensor(max(0.0, 0.5 - 4 * 4 * (move // 4) / 160)))


@pytest.mark.parametrize(("target", "rises"), [(0.2, True), (0.3, False)])
def test_the_mean_over_the_interval_decides(target, rises):
    layer, control = controlled(target=target)
    layer.p.fill_(0.5)
    for score in (1.0, 1.0, 1.0, -2.0):
        control(scored(score, score))  # r_t = 1, 1, 1, −1: on average ½
    for score in (1.0, 1.0, -1.0, 0.0):
        before = layer.p.clone()
        control(scored(score, score))  # ¼, without the first interval
    assert (layer.p > before) == rises


@pytest.mark.parametrize(
    ("loss", "neutral"),
    [(NonSaturating(), 0.0), (Hinge(), 0.0), (LeastSquares(), 0.5), (LeastSquares(0.9, -0.5), 0.2)],
    ids=str,
)
def test_the_sign_is_positive_where_a_sample_is_taken_for_real(loss, neutral):
    _, control = controlled(loss)
    r = control(scored(neutral + 0.1, neutral + 3, neutral - 0.1, neutral + 0.2))
    assert r == pytest.approx(0.5)
    assert not r.requires_grad


def test_a_potential_and_missing_augmentation_are_refused():
    with pytest.raises(ValueError, match="Wasserstein do not; choose"):
        controlled(Wasserstein())
    with pytest.raises(ValueError, match="augmentation_control needs adaptive augmentation"):
        AugmentationControl({"discriminator": nn.Linear(2, 1)}, NonSaturating())
    with pytest.raises(ValueError, match="at least 1, not 0 and"):
        controlled(interval=0)


def test_state_survives_a_checkpoint():
    (layer, control), (other, restored) = controlled(), controlled()
    for _ in range(6):
        control(scored(1.0))
    other.load_state_dict(layer.state_dict())
    restored.load_state_dict(control.state_dict())
    for _ in range(2):
        control(scored(1.0)), restored(scored(1.0))
        assert other.p == layer.p > 0
