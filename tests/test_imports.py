"""A login node has no torch, and nobody waits for help."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

HEAVY = ("torch", "transformers", "librosa", "pandas", "matplotlib", "numpy")
LIGHT = (
    "petl",
    "petl.cli",
    "petl.data.fetch",
    "petl.config.presets",
    "petl.config.study",
    "petl.runs.directory",
    "petl.runs.archive.packing",
    "petl.runs.synthetic",
    "petl.config.schema",
    "slurm.status.plan",
    "slurm.status.view",
    "slurm.status.watch",
    "slurm.manifest",
    "slurm.submit.local",
    "slurm.submit.sbatch",
    "slurm.submit.to_cluster",
    "slurm.node.job",
    "slurm.node.runs",
    "slurm.status.selection",
    "slurm.submit.clean",
    "slurm.status.cost",
    "slurm.devcluster",
    "slurm.doctor.compare",
    "slurm.doctor.slurm_checks",
    "slurm.doctor.probe",
)


def python(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def loaded_by(code: str) -> set[str]:
    report = "import sys; print('LOADED', *(m for m in sys.modules if '.' not in m))"
    return set(python("-c", f"{code}\n{report}").split("LOADED")[1].split())


def test_what_a_login_node_imports_is_light() -> None:
    code = "".join(f"import {module}\n" for module in LIGHT)
    assert not loaded_by(code).intersection(HEAVY)


SUBMIT = ["submit", "experiments/table1.yaml", "--cluster", "example", "--print-script"]


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["plan", "experiments/table1.yaml"], SUBMIT],
    ids=["help", "plan", "submit"],
)
def test_what_a_login_node_runs_is_light(arguments: list[str]) -> None:
    code = f"""
import petl.cli, sys
sys.argv = ["petl", *{arguments}]
try:
    petl.cli.main()
except SystemExit as end:
    assert end.code == 0, end.code
"""
    assert not loaded_by(code).intersection(HEAVY)


def test_help_comes_at_once() -> None:
    """In processor time: how busy the machine is does not matter."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def seconds() -> float:
        before = spent()
        python("-m", "petl.cli", "--help")
        return spent() - before

    assert min(seconds() for _ in range(5)) < 0.5


def test_without_torch_the_login_node_still_plans_and_says_what_is_missing() -> None:
    """A torch that cannot be found, as on a login node with the base package only."""
    code = """
import importlib.abc, os, sys
os.environ["PETL_DATA"] = "/nowhere"  # also after the demo, which leaves its sounds here
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "pandas", "numpy", "librosa", "transformers"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
import petl.terminal
petl.terminal.find_spec = lambda name: None
from typer.testing import CliRunner
from petl.cli import app
for command in ("plan", "status", "submit", "table"):
    words = [command, "experiments/quickstart.yaml", "--runs", "/nowhere"]
    result = CliRunner().invoke(app, words + ["--local", "1"] * (command == "submit"))
    print(command, result.exit_code, result.stderr.strip())
"""
    assert [line.rstrip() for line in python("-c", code).splitlines()] == [
        "plan 0",
        "status 0",
        "submit 2 petl: this needs torch, which is not installed here: "
        "pip install 'petl-ast[train]'",
        "table 2 petl: this needs pandas, which is not installed here: "
        "pip install 'petl-ast[analysis]'",
    ]
