"""Jobs run what their user submitted, whatever others put into the folders that they share."""

from __future__ import annotations

import json
import os
import pickle
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from petl.cli import app
from petl.config.options import Options
from petl.config.study import Study
from petl.errors import UserError
from petl.places import Places
from petl.runs.provenance import without_secrets
from slurm.call import python_arguments
from slurm.manifest import read_manifest
from slurm.node.runs import array_job
from slurm.node.stop import Stop
from slurm.scheduler import Answer
from slurm.status.plan import Plan
from slurm.submission import Submission, submissions
from slurm.submit import commands, sbatch
from slurm.submit.profile import Profile, load_profile
from slurm.submit.sbatch import Batch, Cluster, prepare
from slurm.submit.script import Array, job_script

STUDY = """\
description: a study
profile: as-run
report: test_last
matrix: {dataset: esc50, backbone: ast-small, method: lora, fold: [0, 1], seed: 1}
"""


class Attack:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture(autouse=True)
def no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slurm.status.plan.queued", lambda arrays: Answer())
    monkeypatch.setattr("slurm.status.plan.accounted", lambda arrays, since: Answer())


@pytest.fixture
def submission(study: Study, places: Places) -> Submission:
    cluster = Cluster("here", Profile(time="10", max_array_size=10), places, Options())
    plan = Plan(study, places.runs)
    return prepare(plan, Batch(plan.items, 16.0), cluster)


def petl(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize("name", ["manifest.jsonl", "submission.json", "arrays.jsonl"])
@pytest.mark.parametrize("kind", ["pickle", "script", "nested", "empty", "folder", "pipe"])
def test_a_replaced_file_of_a_submission_runs_nothing(
    submission: Submission,
    places: Places,
    tmp_path: Path,
    name: str,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mark, file = tmp_path / "mark", submission.folder / name
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    monkeypatch.setattr("slurm.node.runs.run_one", lambda made, index, *_: reads(made, index))
    attack = pickle.dumps(Attack(mark))
    for other in ("1_submitted.pkl", "1_0_result.pkl", "task.pkl"):
        (submission.folder / other).write_bytes(attack)
    (submission.folder / "chunk-0.sh").write_text(f"touch {mark}\n")
    file.unlink(missing_ok=True)
    contents = {"pickle": attack, "script": f"#!/bin/sh\ntouch {mark}\n".encode(), "empty": b""}
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.write_bytes(contents.get(kind, b"[" * 100_000))
    try:
        array_job(submission.manifest, 0, places, Stop())
    except (UserError, OSError) as error:
        assert str(file) in str(error)
    else:
        assert name != "manifest.jsonl"  # a job needs no number, and the manifest has the record
    assert not mark.exists()


def reads(submission: Submission, index: int) -> int:
    read_manifest(submission.manifest, index)
    return 0


def test_a_manifest_sends_no_job_to_another_folder(
    submission: Submission,
    places: Places,
    study: Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Runs go beside the manifest; data and cache are words of the call, which Slurm copies."""
    elsewhere = {name: str(tmp_path / "private") for name in ("runs", "data", "cache")}
    head, *tasks = submission.manifest.read_text().splitlines()
    changed = json.dumps(json.loads(head) | elsewhere)
    submission.manifest.write_text("\n".join([changed, *tasks]) + "\n")
    monkeypatch.setattr("signal.signal", lambda *_: None)  # a job listens from its import on
    from slurm.node.job import _places

    task, options = read_manifest(submission.manifest, 0)
    assert (task, options) == (study.tasks[0], Options())
    assert _places(str(submission.manifest), str(places.data), str(places.cache)) == places
    for name in ("other", "..", "../../private", "study/../../private", "/tmp/private"):
        row = json.loads(tasks[0])
        row["names"]["study"] = name
        submission.manifest.write_text("\n".join([head, json.dumps(row)]) + "\n")
        with pytest.raises(UserError, match=r"manifest\.jsonl:2: "):
            read_manifest(submission.manifest, 0)


def test_slurm_gets_the_script_as_text_and_nobody_else_may_read_it(
    study: Study, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that sbatch reads from a shared folder could be replaced just before."""
    sent = []

    def run(command: list[str], text: str = "") -> str:
        sent.append((command, text))
        for file in places.runs.rglob("chunk-0.sh"):  # another member of the group is quick
            file.write_text("touch /tmp/attacked")
        return "12\n"

    monkeypatch.setattr(sbatch, "run", run)
    profile = tmp_path / "mine.yaml"
    profile.write_text("{time: 10, max_array_size: 9, setup: ['export TOKEN=secret']}")
    folders = [f"--{name}={folder}" for name, folder in vars(places).items()]
    told = petl("submit", study.path, "--cluster", profile, "--yes", *folders)
    assert told.exit_code == 0, told.output
    ((command, text),) = sent
    assert command == ["sbatch", "--parsable"]
    assert "export TOKEN=secret" in text and "attacked" not in text
    (submission,) = submissions(places.runs / "study" / "slurm")
    assert stat.S_IMODE(submission.script(0).stat().st_mode) == 0o600
    assert not any(
        "secret" in file.read_text(errors="replace")
        for file in places.runs.rglob("*.json*")
        if file.is_file()
    )


def retry_told(study: Study, places: Places) -> str:
    told = petl("retry", study.path, "--yes", f"--runs={places.runs}")
    assert told.exit_code == 2 and "Traceback" not in told.output
    return str(told.stderr)


@pytest.mark.parametrize("name", ["/tmp/theirs.yaml", "./clusters/mine.yaml", "theirs.yml"])
def test_retry_takes_no_profiles_path_from_a_record(
    submission: Submission, study: Study, places: Places, name: str
) -> None:
    row = json.loads((submission.folder / "submission.json").read_text()) | {"cluster": name}
    (submission.folder / "submission.json").write_text(json.dumps(row))
    told = retry_told(study, places)
    assert f"'{name}'" in told and f"pass --cluster {name}" in told and told.count("\n") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
def test_retry_takes_no_profile_from_another_user(
    submission: Submission, study: Study, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Theirs by the file system: the record names me."""
    record = submission.folder / "submission.json"
    row = json.loads(record.read_text()) | {"cluster": "example"}
    record.unlink()
    places.runs.chmod(0o777)
    for folder in (submission.folder, *submission.folder.parents[:2]):
        folder.chmod(0o777)
    code = (
        "import os, sys; os.setgid(1); os.setuid(1); "  # daemon
        "descriptor = os.open('submission.json', os.O_WRONLY | os.O_CREAT, 0o664); "
        "os.write(descriptor, sys.argv[1].encode())"
    )
    for parent in submission.folder.parents:
        if parent.stat().st_uid == 0 and parent != Path("/") and not parent.stat().st_mode & 1:
            parent.chmod(parent.stat().st_mode | 0o011)
    theirs = [sys.executable, "-S", "-c", code, json.dumps(row)]
    subprocess.run(["/usr/bin/env", *theirs], cwd=submission.folder, check=True, timeout=30)
    assert record.stat().st_uid == 1
    sent: list[str] = []
    monkeypatch.setattr(commands, "submit_to", lambda there, *_, **__: sent.append(there.name))
    told = retry_told(study, places)
    assert "another user" in told and "'example'" in told and not sent
    os.chown(record, 0, 0)
    assert petl("retry", study.path, "--yes", f"--runs={places.runs}").exit_code == 0
    assert sent == ["example"]


@pytest.mark.parametrize("option", ["runs", "data", "cache"])
@pytest.mark.parametrize("name", ["a\ntouch {mark}\n#", "a\rb", "a\x1b]52;c\x07", "a\u202eb"])
def test_a_newline_in_a_folders_name_is_no_line_of_a_script(
    study: Study, tmp_path: Path, option: str, name: str
) -> None:
    folder = tmp_path / name.replace("{mark}", "mark")
    for more in (["--print-script"], ["--yes"]):
        told = petl("submit", study.path, "--cluster", "example", *more, f"--{option}", folder)
        assert told.exit_code == 2 and told.output.count("\n") == 1
        assert (
            f"{option} folder" in told.output and f"choose another with --{option}" in told.output
        )
    assert not folder.exists()


@pytest.mark.parametrize("pattern", ["%j", "%t", "%A", "%u", "%%", "50%"])
def test_slurm_expands_nothing_in_the_path_of_a_log(
    study: Study, tmp_path: Path, pattern: str
) -> None:
    told = petl("submit", study.path, "--cluster=example", "--yes", "--runs", tmp_path / pattern)
    assert told.exit_code == 2 and "jobs cannot have '%' in its path" in told.output


@pytest.mark.parametrize(
    "line",
    [
        'partition: "gpu\\ntouch /tmp/x"',
        'account: "a\\rb"',
        'sbatch: {comment: "a\\ntouch /tmp/x"}',
        'sbatch: {"a\\ntouch /tmp/x": 1}',
        'sbatch: {"a b": 1}',
        'gpu_type: "a\\u0000"',
        'container: {kind: apptainer, image: "a\\nb"}',
        'container: {kind: apptainer, image: a, binds: ["/a\\n/b"]}',
        'container: {kind: venv, python: "python\\ntouch /tmp/x"}',
    ],
)
def test_a_profiles_values_stay_on_their_line(tmp_path: Path, line: str) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text(f"time: 10\n{line}\n")
    with pytest.raises(UserError, match=r"mine\.yaml:2: "):
        load_profile(str(profile))


def test_the_script_of_a_hostile_study_runs_only_its_own_lines(
    places: Places, tmp_path: Path
) -> None:
    """Names with quotes, dollars and spaces are words; `srun` gets them as they are."""
    hostile = tmp_path / "it's $(touch mark) `touch mark` ; touch mark #"
    (tmp_path / "bin").mkdir()
    for name, does in {"srun": f'printf "%s\\n" "$@" > {tmp_path}/words', "squeue": ":"}.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    call = python_arguments("slurm.node.job:array_job", hostile / "manifest.jsonl", 0)
    array = Array("petl-x-0", 1, 1, 1.0, hostile, call, Places(hostile, hostile, hostile))
    script = job_script(Profile(time="10"), array)
    path = f"{tmp_path}/bin:/bin:/usr/bin"
    subprocess.run(["bash"], input=script, text=True, cwd=tmp_path, env={"PATH": path}, timeout=30)
    assert str(hostile / "manifest.jsonl") in (tmp_path / "words").read_text().splitlines()
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        ("docker://user:password@registry.org/petl:1", "docker://registry.org/petl:1"),
        ("user:password@registry.org#petl", "registry.org#petl"),
        ("https://host/petl.sif?token=secret", "https://host/petl.sif"),
        ("docker://u:p@ss@host/petl@sha256:ab12", "docker://host/petl@sha256:ab12"),
        ("registry.org/petl@sha256:ab12", "registry.org/petl@sha256:ab12"),
        ("/images/me@work/petl.sif", "/images/me@work/petl.sif"),
    ],
)
def test_an_images_password_is_recorded_nowhere(
    image: str, shown: str, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert without_secrets(image) == shown
    container = {"kind": "apptainer", "image": image}
    profile = Profile.model_validate({"time": "10", "container": container})
    call = python_arguments("slurm.node.job:array_job", "manifest.jsonl", 0)
    script = job_script(profile, Array("a", 1, 1, 1.0, places.runs, call, places))
    (line,) = [line for line in script.splitlines() if line.startswith("export PETL_IMAGE")]
    assert shown in line and "pass" not in line and "secret" not in line
