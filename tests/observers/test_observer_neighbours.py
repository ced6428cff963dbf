"""The nearest training images: found exactly, without holding all of them as floats."""

import pytest
import torch
from conftest import TINY
from tiny_runs import PICTURE, TINY_RUN

from gan_runner.datasets import images as images_module
from gan_runner.datasets.images import ArraySource, ResidentImages, StreamedImages, normalised
from gan_runner.observers.neighbours import nearest, pixels
from gan_runner.plots.grids import nearest_grid

CPU = torch.device("cpu")
IMAGES = torch.randint(0, 256, (300, 1, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def images(batches):
    return (batch["data"] for batch in batches)


def held(how):
    labels = torch.zeros(len(IMAGES), dtype=torch.long)
    if how == "in memory":
        return ResidentImages("images", IMAGES, labels, flip=True)
    return StreamedImages(ArraySource("images", IMAGES, labels, 6, 1), CPU, flip=True, workers=0)


@pytest.mark.parametrize("how", ["in memory", "streamed"])
@pytest.mark.parametrize("size", [7, 300, 1000])
def test_every_image_is_seen_once_in_order_and_never_mirrored(how, size):
    chunks = list(images(held(how).epoch(size)))
    assert all(len(chunk) <= size for chunk in chunks)
    assert torch.equal(torch.cat(chunks), normalised(IMAGES))


@pytest.mark.parametrize("how", ["in memory", "streamed"])
def test_planted_copies_are_found_at_distance_zero(how):
    planted = [3, 299, 120, 0]
    found = nearest(normalised(IMAGES[planted]), images(held(how).epoch(50)), {"pixels": pixels}, k=3)["pixels"]
    assert found.indices[:, 0].tolist() == planted
    assert (found.distances[:, 0] == 0).all()
    assert (found.distances[:, 1] > 0).all()
    assert torch.equal(found.images[:, 0], normalised(IMAGES[planted]))


@pytest.mark.parametrize("size", [1, 3, 64, 300])
def test_the_nearest_are_those_of_a_search_among_all_at_once(size):
    samples = torch.rand(9, 1, 6, 6, generator=torch.Generator().manual_seed(1)) * 2 - 1
    spaces = {"pixels": pixels, "mean": lambda images: images.flatten(1).mean(1, keepdim=True)}
    found = nearest(samples, images(held("in memory").epoch(size)), spaces, k=5)
    for name, space in spaces.items():
        differences = space(samples).unsqueeze(1) - space(normalised(IMAGES)).unsqueeze(0)
        squared, indices = (part[:, :5] for part in differences.double().square().sum(2).sort(stable=True))
        assert torch.equal(found[name].indices, indices)
        assert torch.allclose(found[name].distances.double().square(), squared, rtol=1e-4, atol=1e-7)
        assert torch.equal(found[name].images, normalised(IMAGES[indices.flatten()]).unflatten(0, (9, 5)))


def test_of_equal_ones_the_first_is_the_nearer_and_there_may_be_fewer_than_asked_for():
    same = torch.zeros(4, 1, 2, 2)
    found = nearest(same[:1], same.split(1), {"pixels": pixels}, k=9)["pixels"]
    assert found.indices.tolist() == [[0, 1, 2, 3]]
    assert found.images.shape == (1, 4, 1, 2, 2)


def test_images_stay_bytes_but_for_a_chunk(monkeypatch):
    converted = []

    def counting(images):
        converted.append(len(images))
        return normalised(images)

    monkeypatch.setattr(images_module, "normalised", counting)
    data = held("in memory")
    nearest(torch.zeros(2, 1, 6, 6), images(data.epoch(32)), {"pixels": pixels}, k=2)
    assert max(converted) == 32
    assert sum(converted) == 300
    assert data.images.dtype == torch.uint8


def test_a_row_is_a_sample_and_its_neighbours():
    samples = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 64, 64)
    grid = nearest_grid(samples, -samples.unsqueeze(1).expand(2, 3, 1, 64, 64))
    assert grid.shape == (2 * 66 + 2, (66 + 2) + 12 + (3 * 66 + 2), 3)
    columns = [34, 68 + 12 + 34, 68 + 12 + 34 + 66, 68 + 12 + 34 + 132]
    assert [[int(grid[y, x, 0]) for x in columns] for y in (34, 100)] == [[0, 255, 255, 255], [255, 0, 0, 0]]


IMAGE_RUN = [option for option in TINY_RUN if "experiment" not in option and "width" not in option] + [
    PICTURE,
    "extractor.steps=2",
]


def test_a_run_draws_its_neighbours_in_every_space(gan_run, tmp_path):
    again = "+observer.neighbours.spaces.again={_target_: gan_runner.observers.neighbours.pixels, _partial_: true}"
    code, _, err = gan_run(*IMAGE_RUN, "model=dcgan", *TINY["dcgan"], "observer=neighbours", again, "hydra.run.dir=run")
    assert code == 0, err
    first, second = ((tmp_path / f"run/samples/neighbours_{name}_0000004.png") for name in ("pixels", "again"))
    assert first.read_bytes() == second.read_bytes()


def test_a_run_that_draws_nothing_searches_nothing(gan_run, tmp_path):
    line = [
        *IMAGE_RUN,
        "model=dcgan",
        *TINY["dcgan"],
        "observer=neighbours",
        "trainer.sample_every=0",
        "hydra.run.dir=run",
    ]
    code, _, err = gan_run(*line)
    assert code == 0, err
    assert not (tmp_path / "run" / "samples").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["dataset=ring8", "model=mlp"], "observer.neighbours: it searches all training images"),
        (["observer.neighbours.k=0"], "observer.neighbours: k=0 must be at least 1"),
    ],
)
def test_what_has_no_neighbours_is_refused_in_one_line(gan_run, tmp_path, options, message):
    code, _, err = gan_run("observer=neighbours", *options)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
