"""Inception: torch-fidelity's own features of the same bytes, and its figures by our metrics."""

from types import SimpleNamespace

import pytest
import torch
from torch_fidelity import calculate_metrics
from torch_fidelity import feature_extractor_inceptionv3 as theirs

from gan_runner.datasets.digits import Digits
from gan_runner.datasets.images import normalised
from gan_runner.errors import DataError
from gan_runner.extractors.inception import Inception
from gan_runner.metrics.evaluator import Evaluator
from gan_runner.metrics.features import ClassifierScore, FrechetDistance, KernelDistance, PrecisionRecall

CPU = torch.device("cpu")
LAYERS = ["2048", "logits_unbiased"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights that keep the scale of their input, so that features of different images differ."""
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(theirs.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        torch.manual_seed(5)
        network = theirs.FeatureExtractorInceptionV3("random", LAYERS)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    torch.save(network.state_dict(), path)
    return str(path)


@pytest.fixture(scope="module")
def reference(weights):
    return theirs.FeatureExtractorInceptionV3("reference", LAYERS, weights)


def bytes_like(n, channels=3, side=20, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, side, side), dtype=torch.uint8, generator=generator)


def test_features_are_torch_fidelitys_of_the_same_bytes(weights, reference):
    images = bytes_like(2)
    features, logits = reference(images)
    seen = Inception(weights=weights).open(Digits(), CPU).extract(normalised(images))
    assert torch.equal(seen.features, features)
    assert torch.equal(seen.logits, logits)
    assert seen.features.shape == (2, 2048)


def test_grey_images_are_seen_as_grey_in_colour(weights, reference):
    images = bytes_like(2, channels=1)
    features, _ = reference(images.repeat(1, 3, 1, 1))
    assert torch.equal(Inception(weights=weights).open(Digits(), CPU).extract(normalised(images)).features, features)


def test_opening_it_draws_nothing_and_tilde_is_home(weights, monkeypatch):
    home, _, name = weights.rpartition("/")
    monkeypatch.setenv("HOME", home)
    before = torch.get_rng_state()
    eye = Inception(weights=f"~/{name}").open(Digits(), CPU)
    assert torch.equal(torch.get_rng_state(), before)
    assert eye.identity == Inception(weights=weights).open(Digits(), CPU).identity


def test_another_networks_weights_are_refused_in_one_line(tmp_path):
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    with pytest.raises(DataError, match="Inception's weights cannot be loaded") as caught:
        Inception(weights=str(tmp_path / "other.pth")).open(Digits(), CPU)
    assert "\n" not in str(caught.value)


class Bytes(torch.utils.data.Dataset):
    """Images as torch-fidelity reads them."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]


@pytest.mark.slow
def test_figures_are_torch_fidelitys_on_the_same_images(weights):
    """FID, KID on the whole set as its one subset, Inception score, precision and recall with three neighbours."""
    n = 6
    real = bytes_like(n, side=16)
    fake = torch.cat([real[: n // 2] ^ 1, bytes_like(n - n // 2, side=16, seed=1) // 2 + 30])  # copies but for a bit
    recipe = Inception(weights=weights)
    metrics = {
        "fid": FrechetDistance(recipe),
        "kid": KernelDistance(recipe, subsets=1, subset_size=n),
        "score": ClassifierScore(recipe, splits=2),
        "covered": PrecisionRecall(recipe, k=3),
    }
    dataset = SimpleNamespace(splits=("train",), load=lambda *_: SimpleNamespace(real=lambda _: normalised(real)))
    system = SimpleNamespace(
        dataset=dataset,
        loss=None,
        device=CPU,
        noise=lambda n, seed: torch.arange(n).unsqueeze(1),
        sample=lambda noise: normalised(fake[noise[:, 0]]),
    )
    ours = Evaluator(system, metrics, n, seed=0).measure()
    their = calculate_metrics(
        input1=Bytes(fake),
        input2=Bytes(real),
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=weights,
        cuda=False,
        batch_size=n,
        save_cpu_ram=True,
        fid=True,
        kid=True,
        isc=True,
        prc=True,
        kid_subsets=1,
        kid_subset_size=n,
        isc_splits=2,
        samples_shuffle=False,
        cache=False,
        verbose=False,
    )
    names = {
        "fid": "frechet_inception_distance",
        "kid": "kernel_inception_distance_mean",
        "inception_score": "inception_score_mean",
        "inception_score_sd": "inception_score_std",
        "precision_inception": "precision",
        "recall_inception": "recall",
    }
    for our, name in names.items():
        # torch-fidelity multiplies features in single precision, or takes a root of a matrix of little rank.
        tolerance = {"fid": 1e-4, "kid": 1e-4}.get(our, 1e-6)
        assert ours[our] == pytest.approx(their[name], rel=tolerance, abs=1e-12), our
