"""A wheel holds all that petl needs outside of a checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("petl", "slurm", "analysis", "experiments")
MINE = """
matrix: {dataset: mine, backbone: ast-small, method: linear, fold: 0, seed: 0}
datasets:
  mine:
    dataset: {corpus: made-sounds, layout: esc50, classes: 10, folds: 5, frames: 100, split: paper,
      spec_augment: null}
    train: {epochs: 1, batch_size: 16}
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, because setuptools leaves a build folder behind."""
    copy = tmp_path_factory.mktemp("wheel")
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, copy)
    for room in ROOMS:
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", "wheel", "."]
    subprocess.run([*pip, *offline], cwd=copy, check=True, timeout=120)
    (wheel,) = (copy / "wheel").iterdir()
    return wheel


def test_a_wheel_holds_every_module_and_data_file(wheel):
    packed = set(zipfile.ZipFile(wheel).namelist())
    files = {
        path.relative_to(ROOT)
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {str(path) for path in files} - packed == set()


@pytest.mark.slow
def test_a_wheel_works_outside_a_checkout(wheel, tmp_path):
    """In a new environment, which borrows all packages but ours from this one."""
    env, work = tmp_path / "env", tmp_path / "work"
    work.mkdir()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PETL_")}
    clean.pop("PYTHONPATH", None)

    def run(*command):
        done = subprocess.run(command, cwd=work, env=clean, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(sys.executable, "-m", "venv", "--without-pip", env)
    python = env / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    run(*pip, "--no-deps", "--no-index", "--no-warn-script-location", wheel)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    assert str(site) in run(python, "-c", "import petl, experiments; print(petl.__file__)")

    petl = env / "bin" / "petl"
    assert "30 runs" in run(petl, "plan", "quickstart") or "of 30" in run(
        petl, "plan", "quickstart"
    )
    (work / "mine.yaml").write_text(MINE)
    run(petl, "train", "mine")
    assert "done" in run(petl, "plan", "mine", "--list")
    run(petl, "table", "mine")
    run(petl, "report", "mine", "--out", "report.html")
    assert "<style>" in (work / "report.html").read_text()
