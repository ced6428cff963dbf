"""What is imported: a command waits for nothing that it does not use."""

import os
import subprocess
import sys

import pytest
import torch
from PIL import Image
from tiny_runs import PICTURE, TINY_RUN

HEAVY = ("torch", "torchvision", "sklearn", "scipy", "matplotlib", "wandb", "pydantic", "numpy", "rich")

SCRIPT = """
import os, sys
from gan_runner.cli.entry import main
try:
    main()
finally:
    print(*sorted(sys.modules), file=open(os.environ["IMPORTED"], "w"))
"""


@pytest.fixture
def imported(tmp_path):
    """The modules that a command line imports, in a process of its own."""

    def typed(*arguments, code=0, **environment):
        names = tmp_path / "imported"
        environment = {**os.environ, "IMPORTED": str(names), **environment}
        answer = subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert answer.returncode == code, answer.stderr
        return set(names.read_text().split())

    return typed


@pytest.mark.parametrize(
    ("line", "code"),
    [("--help", 0), ("--cfg job", 0), ("-sc install=bash", 0), ("loss=hing", 2), ("los=hinge", 2), ("loss.foo=1", 2)],
)
def test_help_and_typos_import_no_heavy_package(imported, line, code):
    assert imported(*line.split(), code=code).isdisjoint(HEAVY)


def test_help_does_not_wait_for_hydra(imported):
    assert imported("--help", "loss").isdisjoint({*HEAVY, "hydra", "omegaconf"})


def test_completion_imports_no_heavy_package(imported):
    assert imported("-sc", "query=bash", COMP_LINE="gan-run loss=h", COMP_POINT="14").isdisjoint(HEAVY)


def test_the_default_run_imports_neither_a_compiler_nor_what_only_others_need(imported):
    line = [option for option in TINY_RUN if option != "experiment=smoke"]
    modules = imported(*line, PICTURE, "trainer.steps=4", "model.generator.width=4", "model.discriminator.width=4")
    assert "torch" in modules
    unused = {"torch._dynamo", "torch._inductor", "torchvision", "sklearn", "scipy", "matplotlib", "wandb"}
    assert modules.isdisjoint(unused)


@pytest.mark.slow
def test_streaming_a_folder_imports_no_torchvision(imported, tmp_path):
    (tmp_path / "photos").mkdir()
    Image.fromarray(torch.arange(192, dtype=torch.uint8).view(8, 8, 3).numpy()).save(tmp_path / "photos" / "a.png")
    folder = ["dataset=image_folder", "dataset.root=photos", "dataset.image_size=8", "dataset.resident=false"]
    line = [option for option in TINY_RUN if not option.startswith(("experiment", "model"))]
    modules = imported(*line, *folder, "model.generator.width=4", "model.discriminator.width=4", "trainer.steps=1")
    assert modules.isdisjoint({"torch._dynamo", "torchvision"})
