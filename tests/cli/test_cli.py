"""The command line: what a bad line gets, and that it leaves nothing behind."""

import json
import re
import subprocess
import sys
from pathlib import Path

import joblib
import pytest
import torch
from conftest import thinned
from tiny_runs import PICTURE, TINY_RUN

from gan_runner.cli import run as cli
from gan_runner.cli.sample import main as gan_sample
from gan_runner.config import trust
from gan_runner.runs.checkpoints import save_checkpoint

BAD_LINES = {
    "experiment=gulrajani2017/8gaussian": "did you mean gulrajani2017/8gaussians?",
    "experiment=8gaussians": "did you mean gulrajani2017/8gaussians?",
    "experiment=metz2017": "choose from metz2017/ring_0, metz2017/ring_1,",
    "trainer.stepz=3": "there is no option trainer.stepz; did you mean trainer.steps?",
    "+trainer.stepz=3": "there is no option trainer.stepz; did you mean trainer.steps?",
    "trainer.steps=abc": "trainer.steps=abc: input should be a valid integer",
    "trainer.steps=1.5": "trainer.steps=1.5: input should be a valid integer",
    "trainer.batch_size=true": "trainer.batch_size: true is not a number",
    "trainer.steps=0": "trainer.steps=0 must be at least 1",
    "trainer.log_every=-1": "trainer.log_every=-1 must be at least 0",
    "trainer.precision=fp7": "trainer.precision=fp7 is not an option; choose from bf16,",
    "trainer.device=nope": "trainer.device=nope cannot be used",
    "los=hinge": "there is no option los; did you mean loss?",
    "loss=hing": "there is no loss=hing; did you mean hinge?",
    "+foo=1": "there is no option foo",
    "+game=[1,2]": "the choice of a part cannot be read (argument of type 'int' is not",
    "experiment=../../x": "experiment=../../x leads out of the folder of experiment",
    "regularizer=[r1,../../x]": "regularizer=[r1,../../x] leads out of the folder of regularizer",
    "--config-name=../../x": "--config-name=../../x leads out of its folder; name the other folder with --config-dir",
    "foo": "foo has no value; choose a part by GROUP=NAME",
    "mnist": "mnist has no value; did you mean dataset=mnist?",
    "lr=1e-3": "there is no option lr; did you mean optimizer.lr or extractor.lr?",
    "dataset.classes=[0,1]": "dataset.classes in this configuration; it belongs to dataset=cifar10 |",
    "dataset=mnist dataset.classes=[0,1]": "dataset.classes=[0, 1] must be an integer, a list of texts or null",
    "metric=[fid]": "there is no metric=fid; did you mean frechet_distance?",
    "+experiment=smoke": "experiment has a default already; type experiment=smoke without +",
    "experiment=null": "experiment=null: null is no experiment; leave it out",
    "-m regularizer=null,r1": "regularizer=null,r1: null is no regularizer; type 'regularizer=[]' for none",
    "logger=tensorboard": "every value is in metrics.jsonl of the run); set one of its options, such as logger.mode",
    "--optimizer.lr=1e-3": "there is no flag --optimizer.lr=1e-3; options have no dashes: optimizer.lr=1e-3",
    "--lr 1e-3": "there is no flag --lr; did you mean optimizer.lr or extractor.lr?",
    "--experiment=smoke": "there is no flag --experiment=smoke; options have no dashes: experiment=smoke",
    "--config=mine.yaml": "there is no flag --config=mine.yaml; did you mean --config-dir?",
    "hydra/sweeper=ax": "there is no hydra/sweeper=ax; it is not installed: pip install hydra-ax-sweeper",
    "regularizer=[gradient_penaltyy]": "there is no regularizer=gradient_penaltyy; did you mean gradient_penalty?",
    "loss=hinge regularizer=[label_smoothing]": "choose loss=bernoulli | feature_matching | gan_gp | lsgan",
    "loss=wgan_gp model.discriminator.norm=batch": "choose model.discriminator.norm=none, layer, instance or virtual",
    "regularizer=[r1] +regularizer.r1.wieght=3": "did you mean regularizer.r1.weight?",
    "regularizer=[r1] regularizer.r1.weight=abc": "regularizer.r1.weight=abc: input should be a valid number",
    "model=dcgan dataset=ring8 metric=[mode_coverage]": "choose model=mlp or maxout, or a dataset of images",
    "metric=[mode_coverage]": "this dataset has no known modes",
    "objective=fid": "no metric measures objective=fid",
    "model.generator.norm=batcch": "model.generator.norm=batcch is not an option; did you mean batch?",
    "model.generator.nrom=batch": "there is no option model.generator.nrom; did you mean model.generator.norm?",
    "+model.generator.nrom=batch": "did you mean norm?",
    "+model.critic.width=3": "model.critic.width needs a critic, but this game has only: discriminator, generator",
    "loss=mmd model.discriminator.width=8": "because this configuration has no model.discriminator; leave it out",
    "loss=mmd regularizer=[dragan]": "regularizer=[dragan] needs a discriminator, but this game trains only: generator",
    "loss=mmd regularizer=[spectral_norm]": "regularizer=[spectral_norm] needs a discriminator, but this game has only",
    "loss=ebgan regularizer=[r1] model.generator.norm=batch": "model.discriminator.norm or model.generator.norm=none",
    "metric=[mmd_gap]": "it needs Gaussian data and samples; choose dataset=gaussian model=gaussian",
    "dataset=gaussian model=gaussian metric=[total_variation]": "it needs the loss EBGAN",
    "loss=mmd game=gan": "loss=mmd does not work in this game; choose another loss, or game=moment_",
    "loss=hinge game=moment_matching": "loss=hinge does not work in this game; choose loss=mmd | mmd_rq, or",
    "loss=maximum_likelihood": "needs a generator with a known density; choose model=real_nvp",
    "loss=mmd model=mlp regularizer=[likelihood]": "likelihood: maximum likelihood needs a generator",
    "loss=maximum_likelihood model=real_nvp game=gan": "loss={} must be a constructor call with a _target_; choose an",
    "loss=maximum_likelihood model=real_nvp model.latent._target_=gan_runner.models.latents.Uniform": (
        "densities are computed for latents from N(0, I), but model.latent is Uniform; set"
    ),
    "game=vae model=infogan": "has a closed form only for N(0, I), but model.latent is Uniform; set",
    "game=age metric=[latent_gaussianity]": "it needs latents N(0, I), and this game has other latents; leave it",
    "model=real_nvp model.latent.dim=5": "leave out model.latent.dim=5, or set it to 256",
    "model=real_nvp dataset.image_size=big": "dataset.image_size=big: input should be a valid integer",
    "model=real_nvp dataset._target_=os.getcwd": "outside the allow-list",
    "model=real_nvp regularizer=[virtual_batch_norm]": "with norm=virtual the output for a sample would depend on its",
    "model=real_nvp game=conditional": "real_nvp takes no condition",
    "metric=[bits_per_dimension]": "it needs a generator with a known density; choose model=real_nvp",
    "metric=[latent_gaussianity]": "choose a game with an encoder, such as game=vae, or model=real_nvp",
    "loss=mmd loss.unbiased=true": "the unbiased estimate of MMD² may be negative, so it has no root",
    "loss=mmd loss.kernel.bandwidths=[1,0]": "bandwidths must be positive numbers",
    "model=dcgan dataset.image_size=100": "choose a power of two that is at least 8, or 28",
    "dataset=mnist dataset.root=/nowhere": "no MNIST at /nowhere",
    "dataset=image_folder dataset.root=/nowhere": "there is no folder /nowhere",
    "dataset=color_mnist dataset.root=/nowhere": "no MNIST at /nowhere",
    "dataset=color_digits dataset.digits.image_size=8": "dataset.digits.image_size=8 must be dataset.image_size=16",
    "dataset=cub dataset.root=/nowhere": "there is no /nowhere/CUB_200_2011/images.txt; put CUB_200_2011/",
    "dataset=oxford102 dataset.root=/nowhere": "there is no /nowhere/flowers-102/imagelabels.mat; put jpg/",
    "dataset=coco dataset.root=/nowhere": "there is no /nowhere/annotations/captions_train2017.json; unzip",
    "dataset=captioned_shapes dataset.unseen=[red_moon]": "must be different pairs such as 'red circle'",
    "dataset=captioned_shapes dataset.caption_length=0": "dataset.caption_length must be positive, not 0",
    "dataset=mnist dataset.classes=[a,a]": "two classes are named 'a'; give each a different name",
    "loss._target_=os.system": "outside the allow-list",
    "loss._target_=gan_runner.losses.wasserstein.Tensor": "outside the allow-list",
    "optimizer._target_=torch.optim.lr_scheduler.Counter": "outside the allow-list",
    "dataset=mnist dataset.images._target_=torchvision.datasets.utils.download_url": "it is not a VisionDataset",
    "+regularizer.r2=3": "regularizer.r2=3 must hold options; to use this regularizer, type 'regularizer=[r2]'",
    "dataset=image_folder": "dataset.root",
    "-m resume=run": "type its command again with hydra.sweep.dir=SWEEP_DIR",
    "loss._target_=gan_runner.losses.hinge.Hing": "did you mean Hinge?",
    "trusted=[nosuch] loss._target_=nosuch.Loss": "cannot be imported",
    "~loss": "must be a constructor call",
    "optimizer.lr=fast": "optimizer.lr=fast: input should be a valid number",
    "optimizer.betas=[0,2]": "Invalid beta parameter",
    "dataset=ring8 model=mlp regularizer=[diff_augment]": "needs images, but samples have shape (2,); choose",
    "dataset=ring8 model=mlp regularizer=[balanced_consistency]": "consistency: it needs images",
    "loss=wgan_gp regularizer=[ada]": "those of Wasserstein do not; choose loss=non_saturating",
    "loss.real_target=2": "targets are probabilities",
    "loss=fgan_alpha loss.alpha=1": "divides by zero at alpha=1; choose loss=fgan_kl for 1, loss=fgan_reverse_kl for 0",
    "loss=fgan_alpha loss.alpha=0": "divides by zero at alpha=0; choose loss=fgan_kl for 1, loss=fgan_reverse_kl for 0",
    "loss=fgan_jsd_pi loss.pi=1": "pi must lie strictly between 0 and 1",
    "loss=misclassification loss.temperature=0": "temperature must be positive",
    "loss=fgan_total_variation loss.objective=plug_in": "objective=plug_in needs a density ratio",
    "loss=fgan_kl loss.objective=plugin": "loss.objective=plugin is not an option; did you mean plug_in?",
    "loss=decoupled loss@loss.critic=hinge": "loss.critic must have log_ratio and optimal_score",
    "loss=decoupled loss@loss.aim=fgan_total_variation": "choose a loss such as non_saturating or fgan_kl",
    "loss=decoupled loss@loss.critic=wgan": "not possible inside another part; choose another loss for loss.critic",
    "loss=decoupled loss@loss.aim=began": "chosen for loss.aim also sets loss, model, game, players, which is not",
    "game=aae loss@prior.loss=ebgan": "another option for prior.loss",
    "prior=analytic": "this game has no prior; choose game=aae | adversarial_vb | age | alpha_gan | auto",
    "encoder=implicit": "choose game=aae | adversarial_vb | age | ali |",
    "game=vae encoder=none": "owns model.encoder, but there is no such network; choose encoder=deterministic",
    "game=ali encoder=none": "choose encoder=deterministic | gaussian |",
    "game=vae loss=hinge": "loss=hinge has no effect, because this game has no discriminator of samples; leave it",
    "game=maximum_likelihood model=real_nvp loss.real_target=0.9": "loss.real_target=0.9 has no effect",
    "loss=decoupled loss.max_log_ratio=0": "max_log_ratio must be positive",
    "logger.mode=onlin": "logger.mode=onlin is not an option; did you mean online?",
    "resume=nowhere": "there is no checkpoint",
    "players.generator.updates=-1": "players.generator.updates=-1 must be 0 (the player",
    "model=mlp model.generator.norm=batch trainer.batch_size=1": "choose a larger batch or model.generator.norm=layer",
    "+players.generator.weights.foo=1": "the term foo needs both",
    "players.discriminator.fresh_batches=false": "the first player must draw batches",
    "dataset.held_out=-1": "dataset.held_out must be 0 or more images, not -1",
    "dataset.held_out=1797": "dataset.held_out=1797 leaves none of the 1797 images of scikit-learn's digits",
    "observer.evaluation.split=test": "this dataset has no split test; set split to train",
    "observer.evaluation.split=tset": "observer.evaluation.split=tset is not an option; did you mean test?",
    "metric=[parzen] objective=null": "it needs a validation split, and this dataset has none; set dataset.held_out=",
    "metric=[parzen] objective=null dataset.held_out=9": "it needs a test split, and this dataset has none; choose",
    "metric=[parzen] objective=null dataset=ring8 model=mlp": "it needs images; choose metric=[optimal_transport]",
    "metric=[independent_critic] objective=null": "it needs held-out data; set dataset.held_out=1000",
    "metric=[classified_modes] objective=null dataset=mnist": "it needs stacked digits; choose dataset=",
    "metric=[frechet_distance] objective=null dataset=ring8 model=mlp": "it needs images, and this data is points",
    "metric=[frechet_distance] objective=null dataset=stacked_mnist": "is generated without end; choose extractor=",
    "metric=[precision_recall] objective=null observer.evaluation.samples=5": "needs at least 6 samples, but observer.",
    "metric=[optimal_transport] metric.optimal_transport.n=0": "metric.optimal_transport.n=0 must be at least 1",
    "observer.evaluation.samples=0": "observer.evaluation.samples=0 must be at least 1",
    "metric=[ms_ssim] objective=null dataset=ring8 model=mlp": "it needs images of 11 px or more, and this data",
    "metric=[kernel_distance] objective=null extractor=inception": "are not part of this package; set extractor.",
    "metric=[kernel_distance] objective=null extractor=torchvision extractor.weights=no": "cannot be read (No such",
    "metric=[kernel_distance] objective=null extractor=torchvision extractor.backbone=resnet81": "mean resnet18?",
    "metric=[kernel_distance] objective=fid": "no metric measures objective=fid",
    "observer=neighbours dataset=ring8 model=mlp": "it searches all training images, and this data has",
    "observer=neighbours dataset=stacked_mnist": "it searches all training images, and this data is generated",
    "observer=neighbours extractor=inception": "are not part of this package; set extractor.weights=FILE",
    "scheduler=exponential_with_momentum": "has no momentum to schedule; choose optimizer=sgd or another scheduler",
}


@pytest.mark.parametrize("line", thinned([*BAD_LINES], 2))
def test_bad_line_gets_one_clear_line_and_leaves_nothing(gan_run, tmp_path, line):
    code, out, err = gan_run(*line.split(" "))
    assert code == 2
    assert err.startswith("gan-run: ")
    assert err.count("\n") == 1, err
    assert BAD_LINES[line] in err
    assert out == ""
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not list(tmp_path.glob("outputs/2*/*"))


def test_bad_sweep_leaves_nothing_and_exits_with_2(gan_run, tmp_path):
    code, _, err = gan_run("-m", "loss=hinge,wgan", "regularizer=[label_smoothing]")
    assert code == 2
    assert err.count("label_smoothing") >= 2
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    code, _, err = gan_run("-m", "loss=hinge,wgann")
    assert code == 2
    assert "did you mean wgan?" in err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_cfg_job_resolves_without_running(gan_run, tmp_path):
    code, out, err = gan_run("loss=wgan_gp", "--cfg", "job", "trainer.steps=7", "--resolve")
    assert code == 0, err
    assert "steps: 7" in out
    assert "gan_runner.losses.wasserstein.Wasserstein" in out
    assert "updates: 5" in out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("loss=h", ["loss=hinge"]),
        ("experiment=gulrajani2017/8", [f"experiment=gulrajani2017/8gaussians{end}" for end in ("", "_clipped")]),
    ],
)
def test_shell_completion_completes_an_option(tmp_path, typed, answer):
    script = "from gan_runner.cli.run import main; main()"
    line = {"COMP_LINE": f"gan-run {typed}", "COMP_POINT": str(len(typed) + 8)}
    completed = subprocess.run(
        [sys.executable, "-c", script, "-sc", "query=bash"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**__import__("os").environ, **line},
    )
    assert completed.stdout.split() == answer


def test_own_configuration_folder_experiment_and_code(gan_run, tmp_path, monkeypatch):
    (tmp_path / "my" / "experiment").mkdir(parents=True)
    (tmp_path / "my" / "experiment" / "paper.yaml").write_text(
        "# @package _global_\ndefaults:\n  - /experiment/smoke\n  - override /loss: mine\ntrainer: {steps: 2}\n"
    )
    (tmp_path / "my" / "loss").mkdir()
    (tmp_path / "my" / "loss" / "mine.yaml").write_text("_target_: own_losses.Mine\nscale: 2.0\n")
    (tmp_path / "own_losses.py").write_text(
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\n"
        "class Mine:\n"
        "    scale: float = 1.0\n"
        "    identifies = 'potential'\n"
        "    def discriminator(self, scores):\n"
        "        return self.scale * (scores.fake.mean() - scores.real.mean())\n"
        "    def generator(self, scores):\n"
        "        return -self.scale * scores.fake.mean()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    line = ["--config-dir", "my", "experiment=paper", "logger.mode=disabled", "hydra.run.dir=run"]
    code, _, err = gan_run(*line)
    assert code == 2
    assert "add 'trusted=[own_losses]'" in err
    code, _, err = gan_run(*line, "trusted=[own_losses]")
    assert code == 0, err
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["step"] == 2
    code, _, err = gan_run(*line, "trusted=[own_losses]", "loss.scale=much")
    assert code == 2
    assert "loss.scale=much" in err


def test_local_settings_are_used_if_they_exist(gan_run, tmp_path):
    (tmp_path / "mine" / "local").mkdir(parents=True)
    (tmp_path / "mine" / "local" / "default.yaml").write_text("# @package _global_\nlogger: {project: mine}\n")
    code, out, _ = gan_run("--config-dir", "mine", "--cfg", "job")
    assert code == 0
    assert "project: mine" in out


def test_a_run_writes_the_documented_files(gan_run, tmp_path):
    code, out, err = gan_run(*TINY_RUN, PICTURE, "seed=3")
    assert code == 0, err
    (run,) = tmp_path.glob("outputs/2*/*")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d-\d{6}", str(run.relative_to(tmp_path / "outputs")))
    files = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert files == {
        "config.yaml",
        "method.md",
        "overrides.yaml",
        "environment.json",
        "metrics.jsonl",
        "summary.json",
        "run.log",
        "samples/step_0000004.png",
        "checkpoints/last.pt",
        "checkpoints/best.pt",
        "checkpoints/step_0000002.pt",
        "checkpoints/step_0000004.pt",
    }
    summary = json.loads((run / "summary.json").read_text())
    assert summary["status"] == "completed"
    assert (summary["step"], summary["images_seen"], summary["seed"]) == (4, 4 * 64, 3)
    assert summary["parameters"]["generator"] > 0
    assert summary["peak_memory_gb"] > 0
    assert summary["steps_per_second"] > 0
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    expected = {"discriminator/adversarial", "discriminator/real_scores", "discriminator/fake_scores"}
    expected |= {"generator/gradient_norm", "images_seen", "steps_per_second", "metric/sliced_wasserstein"}
    assert expected <= set(lines[0])
    best = min(line["metric/sliced_wasserstein"] for line in lines)
    assert summary["best"]["sliced_wasserstein"]["value"] == best
    assert "step=4/4" in out
    assert "step=4/4" in (run / "run.log").read_text()
    environment = json.loads((run / "environment.json").read_text())
    assert environment["versions"]["torch"]
    assert environment["device"] == "cpu"


def test_a_failure_is_logged_with_its_traceback(gan_run, tmp_path, monkeypatch):
    monkeypatch.setattr("gan_runner.observers.samples.draw", lambda *_: 1 / 0)
    code, _, err = gan_run(*TINY_RUN, PICTURE)
    assert code == 1
    assert err.splitlines()[-1] == "gan-run: ZeroDivisionError: division by zero"
    (run,) = tmp_path.glob("outputs/2*/*")
    assert json.loads((run / "summary.json").read_text())["status"] == "failed"
    assert "ZeroDivisionError" in (run / "run.log").read_text()


def test_divergence_exits_with_3_and_names_the_values(gan_run, tmp_path):
    code, _, err = gan_run(*TINY_RUN, "optimizer=sgd", "optimizer.lr=1e30", "trainer.log_every=1")
    assert code == 3
    assert "training diverged at step " in err
    assert err.count("\n") == 1
    (run,) = tmp_path.glob("outputs/2*/*")
    assert json.loads((run / "summary.json").read_text())["status"] == "diverged"
    assert "NaN" not in (run / "summary.json").read_text()  # which is not JSON
    assert (run / "metrics.jsonl").read_text().count("null") > 0


def test_diverged_weights_are_not_saved(gan_run, tmp_path):
    line = [*TINY_RUN, "optimizer=sgd", "optimizer.lr=1e30", "trainer.log_every=0", "trainer.evaluate_every=0"]
    code, _, err = gan_run(*line, "hydra.run.dir=run")
    assert code == 3
    assert "generator" in err
    assert not (tmp_path / "run" / "checkpoints" / "last.pt").exists()


def test_sampling_needs_only_the_checkpoint(gan_run, tmp_path, capfd):
    digits = ["model.generator.width=4", "model.discriminator.width=4", "regularizer=[ema]"]
    code, _, err = gan_run(*digits, *TINY_RUN[3:], "hydra.run.dir=run")
    assert code == 0, err
    gan_sample(["run", "--n", "9", "--seed", "1"])
    grid = tmp_path / "run" / "samples" / "grid_seed1_n9.png"
    assert capfd.readouterr().out.strip() == str(grid.relative_to(tmp_path))
    first = grid.read_bytes()
    gan_sample(["run/checkpoints/last.pt", "--n", "9", "--seed", "1", "--grid", "--picture", "again.png"])
    assert (tmp_path / "again.png").read_bytes() == first
    gan_sample(["run", "--n", "9", "--seed", "2", "--picture", "other.png"])
    assert (tmp_path / "other.png").read_bytes() != first
    gan_sample(["run", "--n", "5", "--out", "many"])
    assert len(list((tmp_path / "many").glob("*.png"))) == 5
    gan_sample(["run", "--n", "16", "--interpolate"])
    assert (tmp_path / "run" / "samples" / "interpolation_seed0.png").exists()


@pytest.mark.parametrize("broken", ["missing", "text", "pickle", "cut"])
def test_sampling_from_a_broken_checkpoint_gets_one_clear_line(tmp_path, capfd, broken, finished_run):
    path = tmp_path / "last.pt"
    if broken == "text":
        path.write_text("hello")
    elif broken == "pickle":
        path.write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    elif broken == "cut":
        finished_run(*TINY_RUN)
        whole = (tmp_path / "run" / "checkpoints" / "last.pt").read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SystemExit) as exit_:
        gan_sample([str(path)])
    assert exit_.value.code == 2
    err = capfd.readouterr().err
    assert err.startswith("gan-sample: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "pwned").exists()


def test_a_checkpoint_cannot_run_code(gan_run, finished_run, tmp_path, capfd):
    import torch

    finished_run(*TINY_RUN)
    path = tmp_path / "run" / "checkpoints" / "last.pt"
    state = torch.load(path, weights_only=True)
    state["config"] = (
        state["config"].replace("gan_runner.games.gan.GAN", "os.system").replace("trusted: []", "trusted: [os]")
    )
    save_checkpoint(path, state)
    with pytest.raises(SystemExit):
        gan_sample([str(path)])
    assert "outside the allow-list" in capfd.readouterr().err
    code, _, err = gan_run("resume=run", "trainer.steps=9")
    assert code == 2
    assert "outside the allow-list" in err


def test_metrics_between_two_logged_steps_are_written(gan_run, tmp_path):
    code, _, err = gan_run(*TINY_RUN, "trainer.log_every=3", "trainer.evaluate_every=2", "hydra.run.dir=run")
    assert code == 0, err
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 3, 4]


@pytest.mark.slow
def test_compiled_run(gan_run, tmp_path):
    code, _, err = gan_run(*TINY_RUN, "trainer.compile=true", "loss=wgan_gp")
    assert code == 0, err


BAD_FILES = {
    "a: ${loss.b}\nb: ${loss.a}": "these options refer to each other in a circle: loss.a, loss.b; give one of them",
    f"a: {5000 * '['}{5000 * ']'}": "nested too deeply",
    "defaults: [bad]": "nested too deeply; does a file include itself in its defaults list?",
    "_target_: os.system\ncommand: touch owned": "loss._target_=os.system is outside the allow-list",
    "a: !!python/object/apply:os.system ['touch owned']": 'bad.yaml", line 1, column 4',
    "a:\n\t- b": 'bad.yaml", line 2, column 1',
    "a: 1\na: 2": "found duplicate key a",
    "- a": "a configuration file holds a list where it must hold keys such as _target_",
    "a: \udcff": "a file of --config-dir is not UTF-8",
    "": "loss={} must be a constructor call",
    "a: &a [*a]": "nested too deeply",
}


TOUCH = "{_target_: subprocess.getoutput, cmd: touch owned}"
LOAD = "{_target_: joblib.load, filename: p.pkl}"
BAD_EXPERIMENTS = {
    "trusted: [subprocess]\nobserver: {x: " + TOUCH + "}": "sets trusted, which could run code; if you want",
    "hydra: {callbacks: {x: " + LOAD + "}}": "sets hydra.callbacks.x._target_, which could run code",
    "hydra: {callbacks: '${observer}'}\nobserver: {x: " + LOAD + "}": "sets hydra.callbacks",
    "hydra: {sweeper: {x: " + LOAD + "}}": "there is no option hydra.sweeper.x",
    "hydra: {sweeper: {_target_: joblib.load}}": "sets hydra.sweeper._target_",
    "hydra: {sweeper: {params: {x: " + LOAD + "}}}": "sets hydra.sweeper.params.x._target_",
    "hydra: {mode: MULTIRUN, sweeper: {params: {+trusted: '[subprocess]'}}}": "sets hydra.sweeper.params.+trusted",
    "hydra: {mode: MULTIRUN, sweeper: {params: {hydra.job.chdir: true}}}": "sets hydra.sweeper.params.hydra.job.chdir",
    "hydra: {launcher: {_target_: os.system, command: touch owned}}": "there is no option hydra.launcher.command",
    "hydra: {launcher: {_target_: os.system}}": "sets hydra.launcher._target_",
    "hydra: {overrides: {task: ['trusted=[subprocess]']}}": "sets hydra.overrides",
    "hydra: {job_logging: {version: 1, root: {handlers: [x]}, handlers: {x: {'()': os.mkdir, path: owned}}}}": (
        "sets hydra.job_logging.root.handlers.0"
    ),
    "hydra: {hydra_logging: {handlers: {x: {class: logging.FileHandler, filename: owned}}}}": (
        "sets hydra.hydra_logging.handlers.x.class"
    ),
    "hydra: {job: {env_set: {LD_PRELOAD: evil.so}}}": "sets hydra.job.env_set.LD_PRELOAD",
    "hydra: {searchpath: ['pkg://antigravity']}": "Overriding hydra.searchpath is only supported from",
    "hydra: {mode: MULTIRUN, sweeper: {params: {+full_scale: logging}}}": "sets hydra.job_logging.root",
    "hydra: {mode: MULTIRUN, sweeper: {params: {+logger.project: logging}}}": "sets hydra.job_logging.root",
    "defaults: [/loss@hydra.callbacks.x: evil]": "sets hydra.callbacks.x._target_",
    "defaults: [/loss@_global_: trusting]": "sets trusted",
    "defaults: [override /hydra/launcher: evil]": "sets hydra.launcher._target_",
}
WAYS = {"--config-dir": "{0}", "hydra.searchpath": "[file://{0}]"}
"""How a folder of one's own is named."""


def in_every_way(contents):
    """Each content with each way to name its folder, of which the default set has one."""
    return [
        pytest.param(content, way, id=f"{number}-{way}", marks=[pytest.mark.slow] if (number - place) % 2 else [])
        for number, content in enumerate(contents)
        for place, way in enumerate(WAYS)
    ]


def typed_folder(way, folder):
    """The words of a command line."""
    place = WAYS[way].format(folder)
    return [way, place] if way.startswith("-") else [f"{way}={place}"]


@pytest.mark.parametrize(("content", "way"), in_every_way(BAD_FILES))
def test_a_bad_configuration_file_gets_one_clear_line(gan_run, tmp_path, content, way):
    path = tmp_path / "mine" / "loss" / "bad.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    code, _, err = gan_run(*typed_folder(way, tmp_path / "mine"), "loss=bad", "model=mlp", "dataset=ring8")
    assert code == 2
    assert err.startswith("gan-run: ")
    assert err.count("\n") == 1, err
    assert BAD_FILES[content] in err
    assert not list(tmp_path.rglob("owned"))


@pytest.mark.parametrize(("content", "way"), in_every_way(BAD_EXPERIMENTS))
def test_a_foreign_experiment_runs_no_code(gan_run, tmp_path, content, way):
    files = {
        "experiment/bad": f"# @package _global_\n{content}",
        "loss/evil": LOAD,
        "loss/trusting": "trusted: [subprocess]",
        "hydra/launcher/evil": LOAD,
        "full_scale/logging": f"# @package _global_\n{LOGGING}",
        "logger.project/logging": f"# @package _global_\n{LOGGING}",
    }
    for name, text in files.items():
        path = tmp_path / "mine" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    joblib.dump(Touching(tmp_path / "owned"), "p.pkl")
    code, _, err = gan_run(*typed_folder(way, tmp_path / "mine"), "experiment=bad", *TINY_RUN[1:])
    assert code == 2
    assert err.startswith("gan-run: ")
    assert err.count("\n") == 1, err
    assert BAD_EXPERIMENTS[content] in err
    assert not list(tmp_path.rglob("owned"))


LOGGING = "hydra: {job_logging: {version: 1, root: {handlers: [x]}, handlers: {x: {class: logging.NullHandler}}}}"
PRIMARY = "defaults: [config, _self_]\nhydra: {searchpath: ['pkg://antigravity']}"


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("-m experiment=smoke,logging", "sets hydra.job_logging.root"),
        ("-m seed=1,2 experiment=logging,smoke", "sets hydra.job_logging.root"),
        ("-m model=mlp,dcgan loss=trusting", "sets trusted"),
        ("-m experiment=glob(log*)", "sets hydra.job_logging.root"),
        ("experiment=sweep", "sets trusted"),
        ("experiment=single", "sets trusted"),
        ("+hydra.callbacks={} experiment=callback", "sets hydra.callbacks.x._target_"),
        ("--config-name primary", "sets hydra.searchpath"),
    ],
)
def test_foreign_files_chosen_by_a_sweep_or_as_primary_file_run_no_code(gan_run, tmp_path, line, refused):
    files = {"experiment/logging": f"# @package _global_\n{LOGGING}", "primary": PRIMARY}
    files["experiment/callback"] = f"# @package _global_\nhydra: {{callbacks: {{x: {LOAD}}}}}"
    sweep = "hydra: {mode: MULTIRUN, sweeper: {params: {loss: 'hinge,trusting'}}}"
    files["experiment/sweep"] = f"# @package _global_\n{sweep}"
    files["experiment/single"] = files["experiment/sweep"].replace("hinge,", "")
    files["loss/trusting"] = "# @package _global_\ntrusted: [subprocess]"
    for name, text in files.items():
        path = tmp_path / "mine" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    code, _, err = gan_run("--config-dir", "mine", *line.split())
    assert code == 2
    assert err.startswith("gan-run: ")
    assert err.count("\n") == 1, err
    assert refused in err


class Touching:
    """What makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_file_may_set_data_below_hydra(gan_run, tmp_path):
    """A sweep with its directory, a launcher that is installed with a number; and trust, if it is typed."""
    path = tmp_path / "mine" / "experiment" / "good.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(
        "# @package _global_\ndefaults: [/experiment/smoke, override /hydra/launcher: basic]\ntrusted: []\n"
        "hydra: {mode: MULTIRUN, sweep: {dir: sweep}, sweeper: {params: {seed: '1,2', model.latent.dim: 8}}}\n"
    )
    small = ["metric=[]", "objective=null", "trainer.steps=1", "trainer.sample_every=0", "logger.mode=disabled"]
    code, _, err = gan_run("--config-dir", "mine", "experiment=good", *small, "trusted=[subprocess]")
    assert code == 0, err
    assert len(list((tmp_path / "sweep").glob("*/summary.json"))) == 2


@pytest.mark.parametrize(
    ("place", "value", "is_data"),
    [
        ("launcher.partition", "gpu", True),
        ("launcher.gres", "gpu:1", True),
        ("launcher.timeout_min", 60, True),
        ("sweeper.storage", "sqlite:///studies.db", True),
        ("job.name", "mine", True),
        ("launcher._target_", "os.system", False),
        ("launcher.setup.0", "source evil", False),
        ("launcher.additional_parameters.wckey", "a", False),
        ("sweeper.sampler._target_", "joblib.load", False),
        ("job_logging.handlers.file.class", "os.system", False),
        ("callbacks.mine._target_", "joblib.load", False),
        ("callbacks.mine._target_", "gan_runner.plots.divergences.SweepDivergences", True),
        ("callbacks.mine._target_", "gan_runner.tools.files.write_text", False),
    ],
)
def test_a_file_may_set_only_data_below_hydra(place, value, is_data):
    assert trust.is_data(place, value) == is_data


@pytest.mark.parametrize("place", ["file", "file/run", "/proc/1/run"])
def test_an_impossible_directory_gets_one_clear_line(gan_run, tmp_path, place):
    (tmp_path / "file").touch()
    code, _, err = gan_run(*TINY_RUN, f"hydra.run.dir={place}")
    assert code == 2
    assert re.fullmatch(
        r"gan-run: .*(file|/run) (is a file|cannot be used \(.+\)); choose another hydra.run.dir.*\n", err
    ), err


def test_too_little_memory_gets_one_clear_line(gan_run):
    code, _, err = gan_run(*TINY_RUN, "model.generator.width=8000000")  # 256 TB, beyond any address
    assert code == 1
    assert "Traceback" not in err
    assert re.search(r"gan-run: there is not enough memory \([\d,.]+ GiB more were needed\); choose a smaller", err)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has …"), "2.50 GiB more"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 3221225472 bytes."),
            "3.0 GiB more",
        ),
        (MemoryError("Unable to allocate 7.11 PiB for an array"), "7.11 PiB more"),
        (RuntimeError("CUDA error: out of memory"), "RuntimeError"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), "RuntimeError"),
    ],
)
def test_out_of_memory_errors_of_libraries_are_recognised(error, message):
    assert message in cli.explain(error)
    assert cli.explain(error).startswith("there is not enough memory (")
