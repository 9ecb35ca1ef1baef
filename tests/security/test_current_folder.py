"""No command and no job imports what lies in the current folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from petl.config.study import Study
from slurm.call import ROOT, python_arguments

STUDY = """\
description: a study
profile: as-run
report: test_last
matrix: {dataset: esc50, backbone: ast-small, method: lora, fold: [0, 1], seed: 1}
"""
STRAYS = ("json", "random", "petl", "slurm", "submitit", "yaml", "analysis", "typing_extensions")


@pytest.fixture
def stray(tmp_path: Path) -> Path:
    folder = tmp_path / "stray"
    folder.mkdir()
    for name in STRAYS:
        (folder / f"{name}.py").write_text("raise SystemExit(f'{__file__} was imported')\n")
    return folder


def in_stray(command: list[str], stray: Path, path: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        command, cwd=stray, env=environment, capture_output=True, text=True, timeout=120
    )


def test_no_command_imports_from_the_current_folder(stray: Path, study: Study) -> None:
    """`petl` as pip installs it."""
    script = stray.parent / "petl"
    script.write_text("import sys\nfrom petl.cli import main\nsys.exit(main())\n")
    for words in (["plan", str(study.path)], ["submit", str(study.path), "--cluster", "nowhere"]):
        told = in_stray([sys.executable, str(script), *words], stray, ROOT)
        assert "was imported" not in told.stdout + told.stderr
    assert "no cluster profile 'nowhere'" in told.stderr


@pytest.mark.parametrize(
    "entry",
    ["node.job:array_job", "node.job:packed_run", "node.job:local_run", "doctor.probe:probe"],
)
def test_no_job_imports_from_the_current_folder(stray: Path, tmp_path: Path, entry: str) -> None:
    """It gets as far as its first word, a folder that is not there."""
    words = [tmp_path / "a/b/c/d/nowhere", *(["0", "data", "cache"] if "node" in entry else [])]
    call = python_arguments(f"slurm.{entry}", *words)
    told = in_stray([sys.executable, *call], stray, ROOT)
    assert "was imported" not in told.stderr and "a/b/c/d" in told.stderr


def test_an_empty_entry_of_pythonpath_reaches_no_job(
    stray: Path, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    from slurm import scheduler
    from slurm.call import without_here

    monkeypatch.setenv("PYTHONPATH", f":{ROOT}:")
    assert scheduler._environment()["PYTHONPATH"] == ROOT
    assert without_here({"PYTHONPATH": ":"}) == {"PYTHONPATH": ""}
    call = python_arguments("slurm.node.job:local_run", "/a/b/c/nowhere", "0", "data", "cache")
    clean = without_here(dict(os.environ))["PYTHONPATH"]
    assert "was imported" in in_stray([sys.executable, *call], stray, f":{ROOT}").stderr
    assert "was imported" not in in_stray([sys.executable, *call], stray, clean).stderr


def test_a_local_job_runs_the_petl_that_submits(tmp_path: Path) -> None:
    """Another one is installed, which here is one that comes first on PYTHONPATH."""
    other = tmp_path / "other" / "slurm"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("raise SystemExit('the other petl was imported')")
    words = ("/a/b/c/nowhere", "0", "data", "cache")
    for same, imported in ((False, True), (True, False)):
        call = python_arguments("slurm.node.job:local_run", *words, same=same)
        told = in_stray([sys.executable, *call], tmp_path, str(other.parent))
        assert ("the other petl was imported" in told.stderr) == imported
