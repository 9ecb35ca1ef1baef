"""The one-page report as a file: what is in it, and what cannot get into it."""

from __future__ import annotations

import json
import re
import shlex
import sys
from fnmatch import fnmatch
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import made_runs
import pandas as pd
import pytest
from typer.testing import CliRunner

from analysis.html.page import page
from analysis.html.provenance import provenance
from analysis.html.report import Report, write
from analysis.markup import Html, el, json_script
from petl.cli import app
from petl.errors import UserError
from petl.runs.directory import RunDir
from petl.runs.synthetic import fabricate

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[3]
HOSTILE = """</script></title><script>boom()</script><img src=x onerror="boom()">'"<!--"""


class Read(HTMLParser):
    """A page as a browser reads it: its elements, and the text in each kind of them."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append((self.elements[-1][0] if self.elements else "", data))

    @property
    def text(self) -> str:
        return "".join(text for tag, text in self.texts if tag not in ("script", "style"))

    @property
    def provenance(self) -> dict[str, Any]:
        at = next(i for i, (_, a) in enumerate(self.elements) if a.get("id") == "provenance")
        assert self.elements[at][0] == "script"
        texts = [text for tag, text in self.texts if tag == "script"]
        return dict(json.loads(texts[0]))


def report(study: Any) -> Report:
    return Report.of(study.study, study.runs)


def rows(read: Read) -> pd.DataFrame:
    return pd.DataFrame(read.provenance["runs"], columns=read.provenance["columns"])


# --- text stays text ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "markup", [el("p", HOSTILE), el("p", title=HOSTILE), json_script("x", HOSTILE)]
)
def test_text_that_looks_like_markup_becomes_none(markup: Html) -> None:
    read = Read(markup)
    assert len(read.elements) == 1
    found = [read.elements[0][1].get("title"), *(text for _, text in read.texts)]
    assert HOSTILE in (*found, json.loads(read.texts[0][1]) if "json" in markup else None)


@pytest.mark.filterwarnings("ignore:constrained_layout")  # a name as long as a picture is wide
def test_no_name_in_a_study_gets_into_the_page_as_markup(made_study) -> None:
    named = {"label": f"L{HOSTILE}", "like": "linear"}
    study = made_study(
        description=f"D{HOSTILE}",
        matrix={"dataset": "mine", "method": ["linear", "hostile"]},
        methods={"hostile": named},
        datasets={"mine": {"label": f"E{HOSTILE}", "like": "esc50"}},
    )
    study.run(lambda task: 0.5 if task.fold else None)
    made_runs.failed(study.study.tasks[0], study.runs, f"F{HOSTILE}")
    text = page(report(study))
    read = Read(text)
    assert [tag for tag, _ in read.elements].count("script") == 2  # the runs, and ours
    assert not [name for _, attributes in read.elements for name in attributes if name[:2] == "on"]
    assert all(attributes.get("src", "data:")[:5] == "data:" for _, attributes in read.elements)
    for beginning in "DLEF":
        assert f"{beginning}{HOSTILE}" in read.text, beginning


def test_the_page_needs_nothing_from_elsewhere(made_study) -> None:
    read = Read(page(report(made_study().run(lambda task: 0.5))))
    for _, attributes in read.elements:
        for name in ("src", "href"):
            assert (
                str(attributes.get(name, "#"))[:5] in ("data:", "#") or attributes[name][0] == "#"
            )
    policy = next(a["content"] for _, a in read.elements if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")


# --- what is in it --------------------------------------------------------------------------------


def test_every_run_is_in_the_page_with_what_it_measured(made_study) -> None:
    study = made_study().run(lambda task: 0.5 + task.fold / 100 if task.fold else None)
    found = rows(Read(page(report(study)))).set_index("run_id")
    assert list(found.index) == [task.run_id for task in study.study.tasks]
    for task in study.study.tasks:
        run = found.loc[task.run_id]
        result = RunDir.of(task, study.runs).result()
        assert (run["fold"], run["seed"]) == (task.fold, task.seed)
        assert run["state"] == ("done" if result else "waiting")
        if result:
            assert run["test_last.accuracy"] == result["metrics"]["test_last"]["accuracy"]
            assert run["seconds"] == result["timing"]["seconds"]


def test_a_sweep_on_a_cpu_is_reported_with_its_grid_and_without_cuda(
    made_study, made_result
) -> None:
    """Its methods have equally many parameters."""
    study = made_study(matrix={"method": "lora", "fold": [0, 1], "train.lr": [1e-3, 5e-3]})
    on_cpu = {"python": "3.10.13", "torch": "1.13.1", "cuda": None, "gpu": None}
    for task in study.study.tasks:
        made = made_result(task, 0.5 + task.train.lr)
        study.write(task, made | {"environment": made["environment"] | on_cpu})
    text = Read(page(report(study))).text
    assert "Accuracy over one or two settings of the matrix" in text
    assert "CUDA" not in text and "GPUnone" in text.replace("\n", "")
    assert "CPU hours" in text and "GPU hours" not in text


def test_what_is_missing_is_named_with_the_command_that_runs_it_alone(made_study) -> None:
    study = made_study().run(lambda task: 0.5 if task.fold != 3 else None)
    made_runs.failed(study.study.tasks[3], study.runs, "the disk was full")
    text = Read(page(report(study))).text
    assert "ESC · FFT · fold 3 · seed 10" in text and "the disk was full" in text
    commands = re.findall(r"petl train (.*?--seed \d+)", text)
    assert len(commands) == 2
    for command, task in zip(commands, (study.study.tasks[3], study.study.tasks[8]), strict=True):
        file, *options = shlex.split(command)
        wanted = dict(zip(options[::2], options[1::2], strict=True))
        assert Path(file).name == study.study.path.name
        names = task.names
        assert wanted == {
            **{"--dataset": names.dataset, "--backbone": names.backbone, "--method": names.method},
            **{"--fold": "3", "--seed": "10"},
        }


def test_a_cell_of_two_commits_says_so(made_study, made_result) -> None:
    study = made_study().run(lambda task: 0.5)
    task = study.study.tasks[0]
    result = made_result(task, 0.5)
    result["environment"]["git_commit"] = "1" * 40
    study.write(task, result)
    read = Read(page(report(study)))
    assert "different git_commit" in read.text
    mixed = {(group["row"], tuple(group["mixed"])) for group in read.provenance["groups"]}
    assert mixed == {("FFT", ("git_commit",)), ("Linear", ())}
    assert "9 of 10 finished runs" in read.text and "1 of 10 finished runs" in read.text


def test_made_up_numbers_say_so_and_real_ones_do_not(made_study) -> None:
    few = {"like": "esc50", "dataset": {"classes": 3}}
    real = made_study(matrix={"dataset": "few", "fold": [0, 1]}, datasets={"few": few})
    real.run(lambda task: 0.5)
    assert "SYNTHETIC" not in Read(page(report(real))).text
    fabricate(real.study, real.runs.parent / "made-up")
    made_up = page(Report.of(real.study, real.runs.parent / "made-up"))
    assert "SYNTHETIC" in Read(made_up).text and Read(made_up).provenance["synthetic"]


def test_before_a_run_has_finished_there_is_a_page_too(made_study) -> None:
    study = made_study()
    made_runs.failed(study.study.tasks[0], study.runs, "no such folder")
    read = Read(page(report(study)))
    assert "0 of 10 runs done" in read.text and "no such folder" in read.text


def test_a_run_takes_little_room_in_the_page(made_study) -> None:
    study = made_study(matrix={"seed": list(range(20))})
    fabricate(study.study, study.runs)
    runs = provenance(report(study))
    assert len(runs["runs"]) == 200 and len(json.dumps(runs)) < 200 * 150


# --- the file -------------------------------------------------------------------------------------


def test_the_page_replaces_an_older_one_and_nobody_elses_file(tmp_path: Path, made_study) -> None:
    text, out = page(report(made_study().run(lambda task: 0.5))), tmp_path / "new" / "page.html"
    assert not write(text, out)
    assert write(text, out) and out.read_text() == text
    out.write_text("<p>mine")
    with pytest.raises(UserError, match=r"page\.html was not made by petl"):
        write(text, out)
    assert out.read_text() == "<p>mine"


def test_the_command_writes_the_page_where_it_says(made_study) -> None:
    study = made_study().run(lambda task: 0.5)
    out = study.runs.parent / "page.html"
    said = [str(study.study.path), "--runs", str(study.runs), "--out", str(out)]
    result = CliRunner().invoke(app, ["report", *said])
    assert result.exit_code == 0 and str(out) in result.stdout.replace("\n", "")
    assert out.read_text().startswith("<!doctype html>")


def test_what_the_page_is_made_of_is_packed() -> None:
    packed = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = packed["tool"]["setuptools"]["package-data"]["analysis.html"]
    files = [file for file in (ROOT / "analysis" / "html").iterdir() if file.is_file()]
    others = [file.name for file in files if file.suffix != ".py"]
    assert others and all(any(fnmatch(name, known) for known in patterns) for name in others)
