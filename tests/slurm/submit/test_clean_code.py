"""`petl clean` removes an archive of code when nothing in the folder of runs mentions it."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from made_runs import finished, stopped
from typer.testing import CliRunner

from petl.cli import app
from petl.config.options import Options
from petl.config.study import load_study
from petl.errors import UserError
from petl.places import Places
from petl.runs.archive.packing import pack
from petl.runs.code.archive import Code, CodeArchive
from slurm.manifest import write_manifest
from slurm.status.plan import Plan
from slurm.submit.clean_code import unused_code
from slurm.submit.profile import Profile
from slurm.submit.sbatch import Batch, Cluster, prepare

STUDY = """\
description: a study
profile: as-run
report: test_last
matrix: {dataset: esc50, backbone: ast, method: lora, fold: [0, 1, 2, 3, 4], seed: 1}
"""


def kept(runs: Path, name: str, age_s: float = 7200) -> CodeArchive:
    data = name.encode()
    code = Code(hashlib.sha256(data).hexdigest(), "0" * 64, None)
    made = CodeArchive(data, code, b"a difference")
    path = made.keep(runs).path
    for file in (path, path.with_suffix(".diff")):
        os.utime(file, (time.time() - age_s,) * 2)
    return made


def test_only_an_archive_that_nothing_uses_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(STUDY)
    study, places = load_study(file), Places(tmp_path / "runs", tmp_path / "d", tmp_path / "c")
    runs = places.runs
    uses = ("submitted", "here", "result", "packed", "earlier try", "checkpoint")
    used = {name: kept(runs, name) for name in uses}
    unused, _young = kept(runs, "unused"), kept(runs, "young", age_s=5)

    for run, name in ((0, "result"), (1, "packed"), (2, "earlier try")):
        made = finished(study.tasks[run], runs)
        result = json.loads(made.result_file.read_text())
        code = asdict(used[name].code)
        if name == "earlier try":
            code = {"source": "1", "tries": [{"from_try": 1, "from_epoch": 1, **code}]}
        result["environment"]["code"] = code
        made.result_file.write_text(json.dumps(result))
        if name == "packed":
            pack(runs / "study", [made.path.name])
    stopped(study.tasks[3], runs, 1).resume_file.write_bytes(
        b"\0" * 8 + json.dumps({"state": json.dumps(asdict(used["checkpoint"].code))}).encode()
    )
    jobs = runs / "study" / "jobs" / "now"
    jobs.mkdir(parents=True)
    write_manifest(jobs / "manifest.jsonl", [study.tasks[4]], Options(), used["here"].code)
    cluster = Cluster("a", Profile(time="1", max_array_size=9), places, Options())
    batch = Batch(Plan(study, runs).items[4:], 1.0)
    prepare(Plan(study, runs), batch, cluster._replace(code=used["submitted"]))
    old = used["submitted"].at(runs).path
    os.utime(old, (time.time() - 7200,) * 2)  # prepare has used it

    (group,) = unused_code(runs)
    gone = unused.at(runs).path
    assert group.paths == [gone.with_suffix(".diff"), gone]
    told = CliRunner().invoke(app, ["clean", str(file), "--runs", str(runs), "--yes"])
    assert told.exit_code == 0 and "code that no submission and no run uses: 2 files" in told.stdout
    assert not gone.exists() and len(list(gone.parent.iterdir())) == 2 * (len(uses) + 1)


def test_what_cannot_be_read_keeps_all_code(tmp_path: Path) -> None:
    kept(tmp_path, "unused")
    record = tmp_path / "study/slurm/token/submission.json"
    record.mkdir(parents=True)
    with pytest.raises(UserError, match="removes none"):
        unused_code(tmp_path)
