"""Measuring through features: limits, what is computed once, what is recorded; and that a run is not changed."""

import json
import logging
import math
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from methods import TEXT
from tiny_runs import PICTURE, TINY_RUN, assert_equal, outcome

from gan_runner.datasets.digits import Digits
from gan_runner.errors import ConfigError
from gan_runner.extractors.base import Features, LoadedExtractor
from gan_runner.extractors.classifier import SoftmaxRegression
from gan_runner.losses.kernels import RBF
from gan_runner.metrics import results as results_module
from gan_runner.metrics.classification import ClassificationError
from gan_runner.metrics.evaluator import Evaluator, check_own_splits, check_samples
from gan_runner.metrics.features import ClassifierScore, FrechetDistance, KernelDistance, PrecisionRecall
from gan_runner.metrics.likelihood import bits_per_dimension
from gan_runner.metrics.mmd import mmd
from gan_runner.metrics.optimal_transport import optimal_transport
from gan_runner.metrics.parzen import parzen
from gan_runner.metrics.results import Reference, Results
from gan_runner.metrics.sliced_wasserstein import sliced_wasserstein
from gan_runner.observers.evaluation import warn_of_training_data

CPU = torch.device("cpu")
DIGITS = Digits(image_size=8, held_out=600)
RECIPE = SoftmaxRegression(steps=100)
SPLITS = ["train", "test"]


def parts_that_return(images, dataset=DIGITS):
    """A generator that knows these images by heart: its latents are their numbers."""
    return SimpleNamespace(
        dataset=dataset,
        loss=None,
        device=CPU,
        noise=lambda n, seed: torch.arange(n).unsqueeze(1),
        game=SimpleNamespace(),
        sample=lambda noise: images[noise[:, 0]],
    )


def figures_of(images, *metrics, split="train"):
    named = {type(metric).__name__: metric for metric in metrics}
    return Evaluator(parts_that_return(images), named, len(images), 0, split).measure()


ALL = FrechetDistance(RECIPE), KernelDistance(RECIPE), PrecisionRecall(RECIPE)


@pytest.mark.parametrize(
    ("metric", "least"),
    [
        (FrechetDistance(RECIPE), 2),
        (KernelDistance(RECIPE), 2),
        (PrecisionRecall(RECIPE, k=3), 4),
        (ClassifierScore(RECIPE, splits=7), 7),
        (partial(mmd, kernel=RBF((1.0,))), 2),
        (sliced_wasserstein, 1),
    ],
)
def test_a_number_of_samples_that_cannot_be_measured_is_refused_before(metric, least):
    """Test that the declared number is the smallest that works, with the data itself as samples."""
    images = DIGITS.load(CPU).real(least)

    def is_measured(images):
        try:
            return all(map(math.isfinite, figures_of(images, metric).values()))
        except (ConfigError, ZeroDivisionError):
            return False

    assert is_measured(images)
    check_samples({"it": metric}, least, "--samples is")
    if least > 1:
        assert not is_measured(images[:-1])
        with pytest.raises(
            ConfigError, match=f"^metric=it needs at least {least} samples, but --samples is {least - 1}"
        ):
            check_samples({"it": metric}, least - 1, "--samples is")


def test_less_data_than_a_metric_needs_is_refused_before_training():
    data = Digits(image_size=8, held_out=1790).load(CPU)
    parts = parts_that_return(data.real(7), Digits(image_size=8, held_out=1790))
    evaluator = Evaluator(parts, {"it": PrecisionRecall(RECIPE, k=7)}, 100, 0, "train", data)
    with pytest.raises(ConfigError, match="metric=it needs at least 8 samples, but the number of its data is 7"):
        evaluator.prepare()


def test_a_metric_of_held_out_data_warns_where_it_measures_on_training_data(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("gan_runner"), "propagate", True)
    metrics = {"errors": ClassificationError(), "distance": sliced_wasserstein}
    warn_of_training_data(metrics, ("train",))
    (message,) = set(caplog.messages)  # other tests may have left a handler
    assert message.startswith("metric=errors is measured on the training data, because the dataset has no other split;")
    caplog.clear()
    warn_of_training_data(metrics, ("train", "validation"))
    assert caplog.messages == []


def test_the_data_themselves_are_at_no_distance_and_cover_all():
    found = figures_of(DIGITS.load(CPU).real(500), *ALL)
    assert found["fd_softmax_regression"] == pytest.approx(0, abs=1e-9)
    assert found["precision_softmax_regression"] == found["recall_softmax_regression"] == 1
    assert found["coverage_softmax_regression"] == 1
    assert found["density_softmax_regression"] == pytest.approx(6 / 5, rel=0.01)  # (k + 1) / k, if all differ


def test_a_shift_of_the_features_is_at_its_square():
    """The features of this classifier are the pixels on [0, 1]: all of 64 half as much again a quarter brighter."""
    found = figures_of(DIGITS.load(CPU).real(500) + 0.5, FrechetDistance(RECIPE))
    assert found["fd_softmax_regression"] == pytest.approx(64 * 0.25**2, rel=1e-5)


@pytest.mark.parametrize(
    "worse", [lambda x, s: x + s, lambda x, s: x + s * torch.randn_like(x)], ids=["shift", "noise"]
)
def test_that_worse_samples_have_worse_values(worse):
    real = DIGITS.load(CPU).real(300)
    found = [figures_of(worse(real, strength), *ALL) for strength in (0.0, 0.3, 0.8, 2.0)]
    for kind, sign in (("fd", 1), ("kd", 1), ("precision", -1), ("coverage", -1)):
        values = [sign * one[f"{kind}_softmax_regression"] for one in found]
        assert values == sorted(values), kind
        assert values[0] < values[-1], kind


def test_unseen_data_are_nearer_than_anything_else_but_not_at_zero():
    unseen = DIGITS.load(CPU, "validation").real(500)
    near = figures_of(unseen, *ALL)["fd_softmax_regression"]
    far = figures_of(unseen + 0.3 * torch.randn_like(unseen), *ALL)["fd_softmax_regression"]
    assert 0 < near < far / 2
    assert figures_of(unseen, *ALL, split="validation")["fd_softmax_regression"] == pytest.approx(0, abs=1e-9)


def test_that_the_score_is_computed_from_the_logits_of_the_network():
    images = DIGITS.load(CPU).real(200)
    score = figures_of(images, ClassifierScore(RECIPE, splits=1))["score_softmax_regression"]
    p = RECIPE.open(DIGITS, CPU).extract(images).logits.double().softmax(1)
    assert score == pytest.approx((p * (p / p.mean(0)).log()).sum(1).mean().exp().item())
    assert 3 < score < 10
    assert figures_of(images[:1].repeat(20, 1, 1, 1), ClassifierScore(RECIPE))["score_softmax_regression"] == (
        pytest.approx(1, abs=1e-6)
    )


class Counting(SoftmaxRegression):
    """Pixels as they are; counts how often it is opened, and at how many images it looks."""

    opened = 0
    looked = 0

    def open(self, dataset, device):
        Counting.opened += 1

        def extract(images):
            Counting.looked += len(images)
            return Features(images.flatten(1), images.flatten(1))

        return LoadedExtractor(extract, "counting")


@pytest.fixture(autouse=True)
def _counts_from_zero(monkeypatch, tmp_path):
    Counting.opened = Counting.looked = 0
    monkeypatch.setenv("GAN_RUNNER_CACHE", str(tmp_path / "kept"))


def test_that_equal_extractors_share_network_and_features():
    metrics = {"fd": FrechetDistance(Counting()), "kd": KernelDistance(Counting()), "pr": PrecisionRecall(Counting())}
    evaluator = Evaluator(parts_that_return(DIGITS.load(CPU).real(200)), metrics, 100, 0)
    evaluator.prepare()
    assert (Counting.opened, Counting.looked) == (1, 0)
    first = evaluator.measure()
    assert (Counting.opened, Counting.looked) == (1, 200)  # the data, and the samples
    assert evaluator.measure() == first
    assert (Counting.opened, Counting.looked) == (1, 300)  # the samples alone
    assert len(first) == 1 + 2 + 4


def test_that_statistics_of_the_data_are_cached(monkeypatch):
    def moments(n, split="train"):
        before = Counting.looked
        return Reference(DIGITS, n, CPU, split).moments(Counting()), Counting.looked - before

    first, looked = moments(100)
    again, looked_again = moments(100)
    assert (looked, looked_again) == (100, 0)
    assert torch.equal(first.mean, again.mean)
    assert torch.equal(first.covariance, again.covariance)
    assert first.n == again.n == 100
    assert moments(99)[1] == 99
    assert moments(100, "validation")[1] == 100


def test_a_frechet_distance_alone_holds_a_piece_at_a_time(monkeypatch):
    monkeypatch.setattr(results_module, "CHUNK", 7)
    real, largest = DIGITS.load(CPU).real(50), []
    system = parts_that_return(real)
    sample = system.sample
    system.sample = lambda noise: largest.append(len(noise)) or sample(noise)
    results = Results(system, system.noise(50, 0), Reference(DIGITS, 50, CPU))
    value = FrechetDistance(Counting())(results)
    assert max(largest) == 7
    assert sum(largest) == 50
    assert not results.known_features
    assert "samples" not in vars(results)
    assert value["fd_softmax_regression"] == pytest.approx(0, abs=1e-9)


def test_whoever_asks_first_the_distance_is_the_same():
    images = DIGITS.load(CPU).real(300).flip(3)
    alone = figures_of(images, FrechetDistance(RECIPE))["fd_softmax_regression"]
    assert figures_of(images, *ALL)["fd_softmax_regression"] == pytest.approx(alone, rel=1e-9)


def test_that_the_error_names_the_metric_that_refuses_its_samples():
    with pytest.raises(
        ConfigError, match="metric=PrecisionRecall: k=5 must be at least 1 and less than the number of samples"
    ):
        figures_of(DIGITS.load(CPU).real(5), PrecisionRecall(RECIPE))


FEATURES = ["metric=[frechet_distance,precision_recall]", "extractor.steps=3", "extractor.width=4", "objective=null"]
DIGITS_RUN = [*TINY_RUN[3:], "model.generator.width=4", "model.discriminator.width=4", "dataset.image_size=8"]


def test_a_run_that_is_measured_by_features_trains_as_one_that_is_not(gan_run, tmp_path):
    assert gan_run(*DIGITS_RUN, "metric=[]", "objective=null", "hydra.run.dir=plain")[0] == 0
    code, _, err = gan_run(*DIGITS_RUN, *FEATURES, PICTURE, "observer=neighbours", "hydra.run.dir=measured")
    assert code == 0, err
    plain, measured = (outcome(tmp_path / name)["checkpoints"]["last.pt"] for name in ("plain", "measured"))
    assert_equal(measured["system"], plain["system"])
    assert_equal(measured["random"], plain["random"])
    summary = json.loads((tmp_path / "measured" / "summary.json").read_text())
    assert set(summary["measured_on"]) == {
        f"{kind}_classifier" for kind in ("fd", "precision", "recall", "density", "coverage")
    }
    conditions = {
        "step": summary["step"],
        "samples": 50,
        "real": 50,
        "split": "train",
        "extractor": "classifier",
        "resize": "none",
    }
    assert summary["measured_on"]["fd_classifier"] == conditions
    assert summary["measured_on"]["recall_classifier"] == {**conditions, "k": 5}
    assert set(summary["metric_time_fraction"]) == {"frechet_distance", "precision_recall"}
    assert 0 < sum(summary["metric_time_fraction"].values()) < 1


@pytest.fixture(scope="module")
def of_text(make_system):
    """System of a game that draws what captions say."""
    system = make_system(*TEXT, "model=mlp", "model.latent.dim=4", "dataset.held_out=4")
    system.game.prepare(system.networks, system.dataset.load(CPU), 8)
    return system


@pytest.mark.parametrize("split", ["test", "validation"])
def test_samples_are_made_for_captions_of_the_split_that_they_are_compared_with(of_text, split):
    condition = of_text.networks["condition"]
    rows = Evaluator(of_text, {}, 8, 0, split).noise
    codes, _ = of_text.dataset.captions(8, split)
    assert torch.allclose(rows[:, 4:], condition.phi(codes), atol=1e-5)
    assert torch.equal(rows[:, :4], of_text.noise(8, 0)[:, :4])


def test_samples_are_made_for_labels_of_the_split_that_they_are_compared_with(make_system, monkeypatch):
    system = make_system("game=conditional", "model=mlp", "dataset.held_out=50", "model.latent.dim=4")
    system.game.prepare(system.networks, system.dataset.load(CPU), 8)
    held_out = system.dataset.load(CPU, "validation")
    held_out.labels = held_out.labels.clamp(max=1)
    monkeypatch.setattr(Digits, "load", lambda *arguments: held_out)
    shares = Evaluator(system, {}, 2000, 0, "validation").noise[:, 4:].mean(0)
    assert shares[0].item() == pytest.approx((held_out.labels == 0).double().mean().item(), abs=0.03)
    assert shares[2:].eq(0).all()
    assert Evaluator(system, {}, 2000, 0).noise[:, 6:].any(0).all()


def test_a_game_without_conditions_reads_no_other_split_for_its_latents(make_system, monkeypatch):
    system = make_system("model=mlp", "dataset.held_out=50")
    monkeypatch.setattr(Digits, "load", None)
    assert torch.equal(Evaluator(system, {}, 20, 0, "validation").noise, system.noise(20, 0))


def test_a_metric_with_a_split_of_its_own_measures_on_no_other_in_silence():
    with pytest.raises(ConfigError, match=r"metric=parzen always measures on split test; leave out --split train"):
        check_own_splits({"parzen": partial(parzen, test=5)}, "train", SPLITS)
    with pytest.raises(ConfigError, match=r"metric=bits always measures on split test; leave out --split train"):
        check_own_splits({"bits": bits_per_dimension}, "train", SPLITS)
    check_own_splits({"parzen": parzen}, None, SPLITS)
    check_own_splits({"parzen": parzen, "fd": FrechetDistance(RECIPE)}, "test", SPLITS)
    check_own_splits({"bits": bits_per_dimension}, "train", ["train"])


def test_each_metric_tells_the_numbers_that_it_used():
    """Not those that it was allowed to use."""
    metrics = {
        "kd": KernelDistance(Counting()),
        "mmd": partial(mmd, kernel=RBF(), points=50),
        "sliced": sliced_wasserstein,
    }
    metrics["exact"] = partial(optimal_transport, n=30)
    evaluator = Evaluator(parts_that_return(DIGITS.load(CPU).real(200)), metrics, 100, 0)
    evaluator.measure()
    told = evaluator.conditions
    assert told["kd_softmax_regression"]["subset_size"] == 100  # of at most 1,000
    assert told["kd_softmax_regression"]["samples"] == 100
    numbers = {name: (told[name]["samples"], told[name]["real"]) for name in told}
    assert numbers["mmd2"] == numbers["mmd_p_value"] == (50, 50)
    assert numbers["wasserstein"] == (30, 30)
    assert numbers["sliced_wasserstein"] == (100, 100)
