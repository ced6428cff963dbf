"""gan-sample: samples follow the options, and wrong options get one clear line."""

from pathlib import Path

import pytest
import torch
from conftest import TINY, thinned
from methods import INFOGAN, TEXT
from tiny_runs import TINY_RUN

from gan_runner.cli.draw import captions_of
from gan_runner.cli.sample import main as gan_sample

RUN = ("model=mlp", *TINY["mlp"], "trainer.steps=1", "trainer.batch_size=8", "metric=[]", "objective=null")
RUN += ("trainer.sample_every=0", "logger.mode=disabled", "hydra.run.dir=run")
GAMES = {"plain": (), "labels": ("game=conditional",), "codes": ("game=infogan", *INFOGAN), "words": TEXT}
CODES = "this run's generator takes no condition; leave out --label; for its codes use --traverse"

REFUSED = {
    "plain": {
        "--label 3": "this run's generator takes no condition; leave out --label",
        "--text cat": "this run's generator takes no condition; leave out --text",
        "--out three.png": "--out is a folder for one file per sample, or FILE.npz; for one picture of all samples",
        "--interpolate --gamma 1": "--gamma only has an effect with --reject; add --reject",
    },
    "labels": {
        "--text 3": "this run's generator takes a --label, not a --text; use that one",
        "--label 3 --text 3": "takes a --label, not a --text",
        "--label 3 --reject": "--reject and --weigh need unconditional samples; leave out --label and --text",
    },
    "codes": {
        "--label 3": CODES,
        "--traverse --label 3": CODES,
        "--traverse --n 4": "--traverse always shows ten latents per code; leave out --n",
        "--traverse --gamma 1": "--gamma only has an effect with --reject; add --reject",
    },
    "words": {
        "--label 3": "this run's generator takes a --text, not a --label",
        "--text 赤い丸": "the sentence '赤い丸' has no character of the alphabet",
    },
}
ALLOWED = {"plain": "--interpolate", "labels": "--label 3", "codes": "--traverse c1", "words": "--text circle"}


@pytest.mark.parametrize("game", thinned([*GAMES], 2))
def test_options_without_effect_are_refused(gan_run, capfd, tmp_path, game):
    code, _, err = gan_run(*GAMES[game], *RUN)
    assert code == 0, err
    for line, message in REFUSED[game].items():
        with pytest.raises(SystemExit) as stopped:
            gan_sample(["run", *line.split()])
        out, err = capfd.readouterr()
        assert (stopped.value.code, out, err.count("\n")) == (2, "", 1), line
        assert message in err
    gan_sample(["run", *ALLOWED[game].split(), "--picture", "picture.png"])
    assert (tmp_path / "picture.png").exists()
    gan_sample(["run", "--n", "5", "--out", "many"])
    assert len(list((tmp_path / "many").iterdir())) == 5


def test_unknown_characters_of_a_sentence_are_reported(gan_run, capfd):
    assert gan_run(*TEXT, *RUN)[0] == 0
    gan_sample(["run", "--text", "a red café", "--picture", "picture.png"])
    out, err = capfd.readouterr()
    assert (out, err) == (
        "picture.png\n",
        "gan-sample: the text encoder ignores parts of --text: characters outside of its alphabet: 'é'\n",
    )
    gan_sample(["run", "--text", "a red circle", "--picture", "picture.png"])
    assert capfd.readouterr().err == ""


def test_samples_for_sentences_have_importance_weights(gan_run, tmp_path):
    assert gan_run(*TEXT, *RUN)[0] == 0
    gan_sample(["run", "--n", "3", "--weigh", "--out", "weighed"])
    header, *weights = (tmp_path / "weighed" / "weights.csv").read_text().split()
    weights = [float(line) for line in weights]
    assert header == "weight"
    assert sum(weights) == pytest.approx(1)
    assert len(set(weights)) == 3


def test_labels_of_points_are_read_from_the_rows_of_noise(make_system):
    points = ("dataset=ring8", "model=mlp", *TINY["mlp"])
    system = make_system("game=conditional", *points)
    rows = torch.cat([torch.randn(8, system.game.latent.dim), torch.eye(8).flip(0)], 1)
    assert captions_of(system, rows) == list("76543210")
    assert captions_of(make_system(*points), rows) == []


def test_samples_of_the_best_checkpoint(gan_run, finished_run, capfd, tmp_path):
    finished_run(*TINY_RUN)
    gan_sample(["run", "--n", "8", "--checkpoint", "best"])
    gan_sample(["run/checkpoints/best.pt", "--n", "8", "--picture", "same.png"])
    gan_sample(["run", "--n", "8"])
    best, same, last = map(Path, capfd.readouterr().out.split())
    assert best == Path("run/samples/best/grid_seed0_n8.png")
    assert best.read_bytes() == same.read_bytes()
    assert last == Path("run/samples/grid_seed0_n8.png")
    with pytest.raises(SystemExit, match="2"):
        gan_sample(["run/checkpoints/last.pt", "--checkpoint", "best"])
    assert "is one checkpoint; give the directory of its run to choose the best one" in capfd.readouterr().err
