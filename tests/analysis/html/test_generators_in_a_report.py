"""A report of generators: curves, samples, and measures beside those of real clips."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

from PIL import Image

from analysis.html.figures import _candidates
from analysis.html.generated import of_generators
from analysis.html.report import Report
from analysis.html.results import tables
from petl.config.study import Study, study_of
from petl.runs.directory import RunDir
from petl.runs.synthetic import fabricate


def made(runs: Path, *methods: str) -> Study:
    matrix = {"dataset": "esc50", "backbone": "ast-small", "fold": 0, "seed": 1}
    file = {"profile": "as-run", "set": {"train": {"epochs": 2}}}
    study = study_of(file | {"matrix": matrix | {"method": [*methods]}}, "made")
    fabricate(study, runs, lambda task: 0.9, spread=0)
    return study


def text(html: str) -> str:
    return " ".join(re.sub("<[^>]*>", " ", html).split())


def test_measures_stand_beside_those_of_real_clips_with_intervals(tmp_path: Path) -> None:
    study = made(tmp_path, "flow")
    buffer = BytesIO()
    Image.new("RGB", (90, 60)).save(buffer, "png")
    (RunDir.of(study.tasks[0], tmp_path).path / "samples.png").write_bytes(buffer.getvalue())
    report = Report.of(study, tmp_path)
    shown = text(tables(report))
    assert "Rectified flow · ESC · fold 0 · seed 1: measures" in shown
    assert "Kernel distance 2.000 [1.800, 2.200] 0.200 [0.180, 0.220]" in shown
    assert "Coverage, second encoder 81.0 % [72.9 %, 89.1 %]" in shown
    drawn = {one.name: one for one in _candidates(report, report.tables[0].table)}
    assert drawn["samples"].frame["samples"].notna().all()
    assert drawn["convergence"].frame["epochs"].map(len).tolist() == [2]


def test_other_studies_have_nothing_of_it(tmp_path: Path) -> None:
    report = Report.of(made(tmp_path, "linear"), tmp_path)
    assert of_generators(report) == ""
    names = {one.name for one in _candidates(report, report.tables[0].table)}
    assert not names & {"samples", "shares"} and "convergence" in names
