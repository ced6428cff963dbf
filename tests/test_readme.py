"""What the README shows, works."""

import json
import re
import subprocess
import sys
from pathlib import Path

import gan_runner.step

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def block(after, language):
    """The first code block of a language after some words."""
    return re.search(rf"```{language}\n(.*?)```", README[README.index(after) :], re.DOTALL)[1]


def test_step_is_shown_as_it_is():
    shown = block("and the step never changes", "python")
    assert shown in Path(gan_runner.step.__file__).read_text(encoding="utf-8")


def test_tree_names_every_module():
    package = Path(gan_runner.step.__file__).parent
    tree = (package / "README.md").read_text(encoding="utf-8")
    modules = {path.name for path in package.glob("*.py") if not path.name.startswith("__")}
    rooms = {f"{path.name}/" for path in package.iterdir() if (path / "__init__.py").exists()}
    assert {name for name in modules | rooms if name not in tree} == set()


def test_added_loss_works_as_shown(gan_run, tmp_path, monkeypatch):
    (tmp_path / "my_losses.py").write_text(block("`my_losses.py`", "python"))
    (tmp_path / "my_conf" / "loss").mkdir(parents=True)
    (tmp_path / "my_conf" / "loss" / "savage.yaml").write_text(block("`my_conf/loss", "yaml"))
    (tmp_path / "test_my_losses.py").write_text(block("`test_my_losses.py`", "python"))
    check = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_losses.py"], cwd=tmp_path
    )
    assert check.returncode == 0
    monkeypatch.syspath_prepend(tmp_path)
    line = block("has to be named once", "bash").split()[1:]
    code, _, err = gan_run(*line, "trainer.steps=2", "logger.mode=disabled")
    assert code == 0, err


def test_added_game_works_as_shown(gan_run, tmp_path, monkeypatch):
    """It trains, compiled too, and goes on; the generator listens to both critics."""
    (tmp_path / "my_games.py").write_text(block("`my_games.py`", "python"))
    (tmp_path / "my_conf" / "game").mkdir(parents=True)
    (tmp_path / "my_conf" / "game" / "two_scales.yaml").write_text(block("`my_conf/game", "yaml"))
    monkeypatch.syspath_prepend(tmp_path)
    _, *line = block("`my_conf/game", "bash").split()
    small = ["model.generator.width=4", "model.discriminator.width=4", "model.latent.dim=4", "metric=[]"]
    code, _, err = gan_run(
        *line, *small, "objective=null", "trainer.steps=2", "logger.mode=disabled", "hydra.run.dir=run"
    )
    assert code == 0, err
    summary = json.loads(Path("run/summary.json").read_text())
    assert set(summary["parameters"]) == {"discriminator", "generator", "coarse"}
    assert {"coarse/adversarial", "generator/coarse", "generator/adversarial"} <= set(summary["final"])
    code, out, err = gan_run("resume=run", "trainer.steps=4", "trusted=[my_games]")
    assert code == 0, err
    assert "completed at step 4" in out
    code, _, err = gan_run(*line, *small, "trusted=[]", "logger.mode=disabled")
    assert code == 2
    assert "my_games" in err
