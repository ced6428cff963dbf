"""Test that a wheel contains the configuration."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gan_runner.runs.environment import git

ROOT = Path(__file__).parent.parent


def test_installed_wheel_finds_its_configuration(tmp_path):
    pytest.importorskip("hatchling")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(build, check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
        names = archive.namelist()
    committed = [path for path in (ROOT / "conf").rglob("*.yaml") if path.parent.name != "local"]
    assert {f"gan_runner/{path.relative_to(ROOT)}" for path in committed} <= set(names)
    assert "gan_runner/cli/comparison.html.jinja" in names
    commit = json.loads((tmp_path / "installed/gan_runner/commit.json").read_text())
    assert commit["git_sha"] == git("rev-parse", "HEAD")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    line = [sys.executable, "-m", "gan_runner", "--cfg", "job", "loss=wgan_gp"]
    answer = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert "gan_runner.losses.wasserstein.Wasserstein" in answer.stdout, answer.stderr
    line = [sys.executable, "-m", "gan_runner", "--help", "loss=wgan_gp"]
    answer = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert "updates=5  critic updates" in answer.stdout, answer.stderr
    where = "from gan_runner.config.paths import CONF; print(CONF)"
    found = subprocess.run([sys.executable, "-c", where], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert Path(found.stdout.strip()) == tmp_path / "installed" / "gan_runner" / "conf"
