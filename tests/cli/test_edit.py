"""`gan-sample` with images: what comes back, what lies between, what is added; and what it cannot do."""

import shutil

import numpy as np
import pytest
import torch
from conftest import TINY
from PIL import Image
from tiny_runs import TINY_RUN

from gan_runner.cli import sample
from gan_runner.cli.edit import read_images
from gan_runner.plots.grids import image_grid, save_image, to_uint8
from gan_runner.runs.saved import open_checkpoint
from gan_runner.sampling.attributes import first_batches
from gan_runner.sampling.inference import encode, reconstruct

RUN = ["game=vae", "model=mlp", *TINY["mlp"], "trainer.steps=1", "trainer.batch_size=8", "trainer.sample_every=0"]
RUN += ["trainer.evaluate_every=0", "logger.mode=disabled", "hydra.run.dir=run"]
SIDE = 66
HEADING = 18


@pytest.fixture
def run(finished_run, tmp_path, capfd):
    """A directory of a run and of three images; type a line for it, get the picture."""
    finished_run(*RUN[:-1], "observer.attributes.samples=400")
    system = open_checkpoint(tmp_path / "run").system("cpu")
    for name, image in zip("abc", system.dataset.load(system.device).real(3)):
        save_image(tmp_path / f"{name}.png", to_uint8(image[0]).numpy())

    def typed(*options):
        sample.main(["run", *options])
        with Image.open(capfd.readouterr().out.strip()) as picture:
            return np.array(picture.convert("RGB"))

    typed.system = system
    typed.images = system.dataset.load(system.device).real(3)
    return typed


def near(picture, images, columns):
    wanted = image_grid(images, columns, gap=2)
    return picture.shape == wanted.shape and np.abs(picture.astype(int) - wanted).max() <= 1


def test_reconstructions_stand_below_their_images(run, tmp_path):
    picture = run("--reconstruct", "a.png", "b.png", "c.png")
    assert picture.shape == (2 * SIDE + 2, 3 * SIDE + 2, 3)
    assert near(picture[: SIDE + 2], run.images, 3)
    assert near(picture[SIDE:], reconstruct(run.system, run.images), 3)
    assert (tmp_path / "run" / "samples" / "reconstruction_a_b_c.png").exists()


def test_a_row_interpolates_from_one_image_to_another(run, tmp_path):
    picture = run("--between", "a.png", "c.png", "--picture", "way.png")
    assert picture.shape == (SIDE + 2, (8 + 2) * SIDE + 3 * 2 + 2 * 12, 3)
    first, _, last = run.images.split(1)
    assert near(picture[:, : SIDE + 2], first, 1)
    assert near(picture[:, -SIDE - 2 :], last, 1)
    assert near(picture[:, SIDE + 14 : 2 * SIDE + 16], reconstruct(run.system, first), 1)
    assert (tmp_path / "way.png").exists()


def test_an_attribute_is_added_to_images_or_to_samples(run, tmp_path):
    system, data = run.system, run.system.dataset.load(run.system.device)
    batches = list(first_batches(data, 400))
    codes = encode(system, torch.cat([batch["data"] for batch in batches]))
    label = torch.cat([batch["label"] for batch in batches])
    vector = codes[label == 7].mean(0) - codes[label != 7].mean(0)

    picture = run("--attribute", "7", "a.png", "b.png")
    assert picture.shape == (HEADING + 2 * SIDE + 2, (5 + 1) * SIDE + 2 * 2 + 12, 3)
    picture = picture[HEADING:]
    assert near(picture[:, : SIDE + 2], run.images[:2], 1)
    nothing_added = picture[:, SIDE + 14 + 2 * SIDE :][:, : SIDE + 2]
    assert near(nothing_added, reconstruct(system, run.images[:2]), 1)
    assert near(picture[:, -SIDE - 2 :], system.sample(encode(system, run.images[:2]) + 2 * vector), 1)
    assert (tmp_path / "run" / "samples" / "attribute_7_a_b.png").exists()

    picture = run("--attribute", "7", "--strength", "0", "-1.5", "--n", "6", "--seed", "4")
    noise = system.noise(3, 4)
    made = system.sample(torch.stack([noise, noise - 1.5 * vector], 1).flatten(0, 1))
    assert near(picture[HEADING:], made, 2)
    assert (tmp_path / "run/samples/attribute_7_0_minus1-5_seed4.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--attribute 7 --strength nan", "--strength: must lie between -1e+06 and 1e+06"),
        ("--attribute 7 --strength inf", "--strength: must lie between -1e+06 and 1e+06"),
        ("--picture there.xyz", "--picture: there.xyz must end in .png"),
    ],
)
def test_invalid_numbers_and_names_are_refused(complaint, words, message):
    assert message in complaint(*words.split())


@pytest.fixture
def complaint(capfd):
    """Type a line for a run, get what it complained of."""

    def typed(*options):
        with pytest.raises(SystemExit) as ended:
            sample.main(["run", *options])
        assert ended.value.code == 2
        return capfd.readouterr().err

    return typed


@pytest.mark.usefixtures("run")
def test_options_that_cannot_work_get_one_clear_line(complaint, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    for options, message in {
        ("--reconstruct", "text.png"): "text.png cannot be read as an image (cannot identify image file",
        ("--between", "a.png", "z.png"): "there is no file z.png; give the path of an image",
        ("--attribute", "17"): "--attribute 17: there is no class '17'; did you mean 7?",
        ("--attribute", "7", "text.png"): "text.png cannot be read as an image",
        ("--strength", "1"): "add --attribute NAME",
        (
            "--reconstruct",
            "a.png",
            "--reject",
        ): "--reconstruct sets the latents itself; leave out --reject",
        ("--between", "a.png", "b.png", "--label", "3"): "--between sets the latents itself; leave out",
        (
            "--reconstruct",
            "a.png",
            "--n",
            "5",
        ): "--reconstruct starts from the named images and samples nothing",
        ("--between", "a.png", "b.png", "--seed", "4"): "samples nothing; leave out --n and --seed",
        ("--attribute", "7", "a.png", "--n", "5"): "--attribute starts from the named images",
        ("--attribute", "7", "--gamma", "3"): "--gamma only has an effect with --reject; leave",
    }.items():
        err = complaint(*options)
        assert message in err
        assert err.count("\n") == 1


def test_runs_without_encoder_labels_or_images_get_one_clear_line(gan_run, finished_run, tmp_path, complaint):
    save_image(tmp_path / "a.png", np.zeros((8, 8), np.uint8))
    finished_run(*TINY_RUN)
    message = "--reconstruct needs a run with an encoder, and this run has none; train one with, for example, game=vae"
    assert message in complaint("--reconstruct", "a.png")
    shutil.rmtree(tmp_path / "run")
    assert gan_run(*RUN, "dataset=ring8", "trainer.steps=1")[0] == 0
    assert "--attribute works on images, but this run generates points" in complaint("--attribute", "3")
    shutil.rmtree(tmp_path / "run")
    assert gan_run(*RUN, "~observer.attributes")[0] == 0
    assert "this run saved none; train on data with labels and with" in complaint("--attribute", "3")


def test_images_are_resized_and_cropped(tmp_path):
    Image.new("RGB", (40, 20), "white").save(tmp_path / "a.jpg")
    assert torch.equal(read_images([tmp_path / "a.jpg"], (1, 16, 16)), torch.ones(1, 1, 16, 16))
    assert read_images([], (3, 8, 8)).shape == (0, 3, 8, 8)
