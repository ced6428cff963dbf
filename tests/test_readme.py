"""What the README shows, works."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import gan_runner.step

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def block(after, language):
    """The first code block of a language after some words."""
    return re.search(rf"```{language}\n(.*?)```", README[README.index(after) :], re.DOTALL)[1]


def test_step_is_shown_as_it_is():
    shown = block("and the step never changes", "python")
    assert shown in Path(gan_runner.step.__file__).read_text(encoding="utf-8")


def test_tree_names_every_module():
    tree = block("double backward included", "text")
    package = Path(gan_runner.step.__file__).parent
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


@pytest.mark.parametrize(
    "group",
    [
        "model",
        "loss",
        "regularizer",
        "dataset",
        "optimizer",
        "scheduler",
        "metric",
        "extractor",
        "observer",
        "game",
        "play",
        "dynamics",
    ],
)
def test_table_names_every_option(group):
    from conftest import names_in

    table = block_of_table()
    assert {name for name in names_in(group) if f"`{name}`" not in table} == set()


def block_of_table():
    return README[README.index("| group | options |") : README.index("Each option is a small YAML file")]
