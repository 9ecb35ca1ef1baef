"""`petl reproduce`: a run is trained again elsewhere, compared, and told with an exit code."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zipfile
from pathlib import Path

import pytest
from made_runs import finished
from tiny import SHORT, Make, environment, petl, runs, until
from typer.testing import CliRunner

from petl.cli import app
from petl.config.study import Study
from petl.errors import UserError
from petl.files import write_json
from petl.places import Places
from petl.reproduce.outcome import Outcome, exit_code, page
from petl.runs.code.archive import build, running
from petl.runs.directory import RunDir
from slurm.devcluster import DevCluster
from slurm.reproduce import here
from slurm.reproduce.again import Trust, drawn, folder_for, groups, original, outcomes
from slurm.status.plan import Plan
from slurm.submit import local

OWN, TRUSTED, CURRENT = Trust(False, False), Trust(False, True), Trust(True, False)
KEEP = "keep_weights: true\n"


@pytest.fixture
def trained(make: Make, places: Places) -> Study:
    """A run and another fold of its cell."""
    from petl.train.run import run_task

    loaded = make("linear", "[0, 1]", SHORT, KEEP)
    for task in loaded.tasks:
        run_task(task, places)
    return loaded


def with_code(run: RunDir, archive: str | None, source: str = "0" * 64) -> RunDir:
    result = run.result()
    assert result is not None
    code = {"archive": archive, "source": source, "commit": "1" * 40}
    result["environment"]["code"] = code  # type: ignore[typeddict-item]
    write_json(run.result_file, result)
    return run


def kept(places: Places) -> str:
    """The hash of an archive whose code must not run."""
    evil = b"raise SystemExit('evil')"
    archive = hashlib.sha256(evil).hexdigest()
    file = places.runs / ".code" / f"{archive[:16]}.zip"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(evil)
    file.chmod(0o644)
    return archive


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_trained_again_has_the_same_bits_and_the_original_is_untouched(
    trained: Study, places: Places, tmp_path: Path
) -> None:
    from petl.train.run import run_task

    before = contents(places.runs)
    found = [original(run, OWN) for run in runs(trained, places)]
    again = Places(tmp_path / "again", places.data, places.cache)
    assert [one.kind for one in outcomes(found, again.runs)] == ["unfinished", "unfinished"]
    for one in found:
        run_task(one.task, again)
    judged = outcomes(found, again.runs)
    assert [one.kind for one in judged] == ["identical", "identical"]
    assert exit_code(judged) == 0 and not judged[0].environment
    assert contents(places.runs) == before

    rows = RunDir.of(trained.tasks[1], again.runs).metrics_file
    second = '"epoch": 2, "train_loss": '
    rows.write_text(rows.read_text().replace(second, f"{second}1"))
    judged = outcomes(found, again.runs)
    assert [one.kind for one in judged] == ["identical", "within"] and exit_code(judged) == 3
    assert judged[1].verdict is not None and "epoch 2: train_loss" in judged[1].verdict.epochs


def test_code_that_others_may_have_written_is_refused_until_it_is_trusted(
    make: Make, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(make("linear", "0", SHORT).tasks[0], places.runs)
    archive = kept(places)
    with_code(run, archive)
    file = places.runs / ".code" / f"{archive[:16]}.zip"
    assert original(run, OWN).frozen == original(run, TRUSTED).frozen is not None
    assert original(run, CURRENT).frozen is None
    file.chmod(0o664)
    with pytest.raises(UserError, match=r"others may have written this code.*--trust"):
        original(run, OWN)
    assert original(run, TRUSTED).frozen is not None
    file.chmod(0o644)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(UserError, match="--trust"):
        original(run, OWN)


def test_the_installed_code_is_used_where_it_is_the_same(make: Make, places: Places) -> None:
    run = finished(make("linear", "0", SHORT).tasks[0], places.runs)
    assert original(with_code(run, "a" * 64, running().source), OWN).frozen is None


@pytest.mark.parametrize("archive", [None, "../../../../etc", "A" * 64])
def test_a_run_without_kept_code_says_so_in_one_line(
    make: Make, places: Places, archive: str | None
) -> None:
    run = finished(make("linear", "0", SHORT).tasks[0], places.runs)
    with pytest.raises(UserError, match=r"was not kept, only its commit 1+; --code current"):
        original(with_code(run, archive), OWN)


def test_a_task_of_another_run_is_refused(make: Make, places: Places) -> None:
    one, other = (finished(task, places.runs) for task in make("linear", "[0, 1]", SHORT).tasks)
    one.task_file.write_bytes(other.task_file.read_bytes())
    with pytest.raises(UserError, match="that of another run"):
        original(one, CURRENT)


def test_runs_of_one_code_and_number_of_threads_are_trained_together(
    make: Make, places: Places
) -> None:
    loaded = make("linear", "[0, 1, 2]", SHORT)
    made = [finished(task, places.runs) for task in loaded.tasks]
    for run, threads in zip(made, (1, 2, 1), strict=True):
        result = run.result()
        assert result is not None
        result["environment"]["threads"] = threads
        write_json(run.result_file, result)
    together = list(groups([original(run, CURRENT) for run in made]))
    assert [(len(part.tasks), threads) for part, _, threads in together] == [(2, 1), (1, 2)]


def test_the_same_seed_draws_the_same_runs() -> None:
    ids = [f"{i:04x}" for i in range(50)]
    assert drawn(ids, 5, 0) == drawn(reversed(ids), 5, 0) != drawn(ids, 5, 1)
    assert sorted(drawn(ids, 99, 0)) == ids == drawn(ids, None, 0)


def test_each_environment_has_a_folder_of_its_own(tmp_path: Path) -> None:
    folders = {
        folder_for(tmp_path, "/a/.venv/bin/python", None, False),
        folder_for(tmp_path, "/a/.venv-modern/bin/python", None, False),
        folder_for(tmp_path, "/a/.venv/bin/python", "petl-ast:0.1.0", False),
        folder_for(tmp_path, "/a/.venv/bin/python", None, True),
    }
    assert len(folders) == 4 and all(f.parent == tmp_path / "reproduced" for f in folders)


def test_an_image_is_a_file_a_folder_or_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "petl.sif").touch()
    assert here.image_words(str(tmp_path / "petl.sif"), ["/r"], {})[:2] == ("apptainer", "exec")
    assert here.image_words(str(tmp_path), ["/r"], {})[:3] == ("ch-run", "--bind", "/r:/r")
    monkeypatch.setattr(here.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="neither docker nor podman"):
        here.image_words("petl-ast:0.1.0", ["/r"], {})
    monkeypatch.setattr(here.shutil, "which", lambda name: name)
    words = here.image_words("petl-ast:0.1.0", ["/r"], {"OMP_NUM_THREADS": "3"})
    assert words[:2] == ("docker", "run") and "OMP_NUM_THREADS=3" in words
    with pytest.raises(UserError):
        here.image_words("--privileged", ["/r"], {})


def test_the_page_escapes_what_comes_from_runs() -> None:
    text = page([Outcome("0" * 16, "<script>alert(1)</script>", "code", remark="<b>")])
    assert "<script" not in text and "&lt;script&gt;" in text and "failed" in text


# --- a bundle's runs


def test_a_bundle_runs_no_code_of_its_own_unless_it_is_trusted(
    trained: Study, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(places).items():
        monkeypatch.setenv(name, value)
    for run in runs(trained, places):
        with_code(run, "a" * 64)
    bundle = str(tmp_path / "tiny.zip")
    call = CliRunner().invoke
    words = ["bundle", str(trained.path), bundle, "--with-hosts"]
    assert call(app, words).exit_code == 0
    checked = call(app, ["verify", bundle])
    assert checked.exit_code == 4 and "is not in the bundle" in checked.output
    for archive, told in ((None, "it is not in the bundle"), (kept(places), "--trust")):
        for run in runs(trained, places):
            with_code(run, archive)
        Path(bundle).unlink()
        assert call(app, words).exit_code == 0
        checked = call(app, ["verify", bundle])
        assert checked.exit_code == 0 and "whole; 2 of 2 runs of tiny" in checked.output
        refused = call(app, ["verify", bundle, "--retrain", "1"])
        assert refused.exit_code == 2 and told in refused.output


# --- whole commands


@pytest.mark.slow
def test_the_commands_train_with_the_runs_own_code(
    make: Make, places: Places, tmp_path: Path
) -> None:
    """The archive has a line more than the installed code, so it is really what runs."""
    loaded = make("linear", "[0, 1]", SHORT, KEEP)
    code = build()
    copy = tmp_path / "checkout"
    archive = tmp_path / "code.zip"
    archive.write_bytes(code.data)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(copy)
    init = copy / "petl" / "__init__.py"
    init.write_text(init.read_text() + "# older\n")
    older = build(copy).keep(places.runs)
    local.run_local(Plan(loaded, places.runs), places, 2, lambda remark: None, frozen=older)
    told = petl("reproduce", loaded.path, "--sample", 1, "--json", places=places)
    (run,) = json.loads(told[told.index("{\n") :])["runs"]
    assert run["kind"] == "identical" and run["environment"] == []
    (result,) = (places.runs / "reproduced").glob("*/tiny/*/result.json")
    recorded = json.loads(result.read_text())["environment"]["code"]
    assert recorded["archive"] == older.code.archive != code.code.archive

    bundle = tmp_path / "tiny.zip"
    petl("bundle", loaded.path, bundle, "--with-hosts", places=places)
    fresh = Places(tmp_path / "theirs", places.data, places.cache)
    petl("verify", bundle, "--retrain", 1, places=fresh, code=2)
    told = petl("verify", bundle, "--retrain", 1, "--trust", places=fresh)
    assert "1 identical" in told


@pytest.mark.slow
@pytest.mark.slurm
def test_jobs_train_runs_again_and_the_same_command_tells_the_verdict(
    trained: Study, places: Places, in_cluster: DevCluster, tmp_path: Path
) -> None:
    profile = tmp_path / "cluster.yaml"
    profile.write_text("{partition: gpu, gpus: 1, cpus: 1, mem_gb: 2, time: 30}\n")
    words = ("reproduce", trained.path, "--slurm", profile, "--out", tmp_path / "again", "--yes")
    petl(*words, places=places, code=6)
    again = Places(tmp_path / "again", places.data, places.cache)
    until(lambda: all(run.result_file.exists() for run in runs(trained, again)), 120)
    assert "2 identical" in petl(*words, places=places)


def test_a_python_that_is_not_there_is_one_line(make: Make, places: Places) -> None:
    run = finished(make("linear", "0", SHORT).tasks[0], places.runs)
    words = ["reproduce", str(run.path), "--python", str(Path(sys.prefix) / "nowhere")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2 and "no such file" in done.output
