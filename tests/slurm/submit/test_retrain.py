"""Training finished runs again for their weights, and where `petl submit` alone submits to."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import finished
from typer.testing import CliRunner

from petl.cli import app
from petl.config.study import EXPERIMENTS, Study, load_study
from petl.errors import UserError
from petl.runs.archive.packing import pack
from petl.runs.claim import Claim
from slurm.status.plan import Plan
from slurm.submit import profile
from slurm.submit.retrain import retrained


@pytest.fixture(scope="module")
def study() -> Study:
    return load_study(EXPERIMENTS / "quickstart.yaml")


def test_a_run_is_to_be_trained_again_with_its_weights_and_its_old_result_is_kept(
    study: Study, tmp_path: Path
) -> None:
    runs = [finished(task, tmp_path) for task in study.tasks[:2]]
    again = retrained(study, [runs[0].path.name[:8]], tmp_path)
    assert [task.weights for task in again.tasks[:2]] == ["last", "last-if-small"]
    assert [task.run_id for task in again.tasks] == [task.run_id for task in study.tasks]
    assert [item.kind for item in Plan(again, tmp_path).items[:2]] == ["waiting", "done"]
    (kept,) = (tmp_path / "quickstart" / "replaced").glob("*/result.json")
    assert kept.parent.name.startswith(runs[0].path.name)


def test_what_must_not_be_trained_again_stays_where_it_is(study: Study, tmp_path: Path) -> None:
    with_weights, busy, packed, plain = (finished(task, tmp_path) for task in study.tasks[:4])
    with_weights.weights_file.write_bytes(b"x")
    pack(packed.path.parent, [packed.path.name])
    with Claim(busy.claim_file):
        for run, why in (
            (with_weights.path, "it has its weights"),
            (busy.path, "it is running now"),
            (packed.path, "it is packed"),
            (Path("ffffffff"), "0 runs of .* begin with this id"),
        ):
            with pytest.raises(UserError, match=why):
                retrained(study, [plain.path.name, str(run)], tmp_path)
    assert plain.result() is not None and not (tmp_path / "quickstart" / "replaced").exists()


def test_without_slurm_a_study_runs_here_and_that_is_said(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PETL_CLUSTER", raising=False)
    monkeypatch.setattr(profile.shutil, "which", lambda name: None)
    for task in study.tasks:
        finished(task, tmp_path)
    told = CliRunner().invoke(app, ["submit", str(study.path), "--runs", str(tmp_path)])
    assert told.stdout.splitlines() == [
        "there is no Slurm on this machine, so the runs train here (as --local does)",
        "30 of 30 done, nothing to do",
    ]


def test_with_slurm_the_only_own_profile_is_used_and_none_is_guessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"petl init --cluster.*--local 1"):
        profile.own_profile()
    Path("clusters").mkdir()
    Path("clusters/mine.yaml").touch()
    assert profile.own_profile() == "mine"
    Path("clusters/other.yaml").touch()
    with pytest.raises(UserError, match=r"--cluster PROFILE \(mine, other\)"):
        profile.own_profile()
