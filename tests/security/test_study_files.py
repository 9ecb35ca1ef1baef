"""A study file is data: it cannot run code, leave its folder or exhaust a login node."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from petl.cli import app
from petl.config.study import EXPERIMENTS, expand, load_study
from petl.config.task import Task
from petl.config.yamlfile import parse_value
from petl.errors import UserError

QUICKSTART = (EXPERIMENTS / "quickstart.yaml").read_text()
MATRIX = {"dataset": "esc50", "backbone": "ast", "method": "lora", "fold": 0, "seed": 1}
STUDY = {"description": "", "profile": "as-run", "report": "test_last", "matrix": MATRIX}


def refusal(path: Path, content: str) -> str:
    """The one line, in under ten seconds."""
    path.write_text(content)
    start = time.process_time()
    with pytest.raises(UserError) as error:
        load_study(path)
    assert time.process_time() - start < 10
    assert len(str(error.value)) < 600
    return str(error.value)


def test_aliases_that_multiply_are_counted_before_they_are_expanded(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    found = refusal(tmp_path / "bomb.yaml", "\n".join(lines))
    assert "over 50,000 values, with aliases (*name) replaced" in found


def test_a_file_of_megabytes_is_not_parsed(tmp_path: Path) -> None:
    found = refusal(tmp_path / "large.yaml", "# nothing\n" * 1_000_000)
    assert "a study or profile has at most 262,144" in found


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        ({"fold": list(range(4_000)), "seed": list(range(4_000))}, "tasks, and at most 200,000"),
        ({"method": ["lora"] * 4_000}, "4,000 combinations of datasets, methods"),
    ],
)
def test_a_product_of_millions_is_refused_before_it_is_built(matrix: dict, said: str) -> None:
    start = time.process_time()
    with pytest.raises(UserError, match=said) as error:
        expand(STUDY | {"matrix": MATRIX | matrix}, "large")
    assert "PETL_MAX_TASKS" in str(error.value)
    assert time.process_time() - start < 10


def test_a_billion_folds_are_refused() -> None:
    study = STUDY | {
        "matrix": MATRIX | {"fold": "all"},
        "set": {"dataset": {"folds": 1_000_000_000}},
    }
    with pytest.raises(UserError, match="1,000,000,000 tasks"):
        expand(study, "folds")


@pytest.mark.parametrize("layers", ["0-1000000000", "5-9" + "9" * 5_000])
def test_a_range_of_a_billion_layers_is_refused_before_it_is_expanded(layers: str) -> None:
    start = time.process_time()
    with pytest.raises(UserError, match="no model has so many layers"):
        expand(STUDY | {"set": {"method": {"layers": [layers]}}}, "layers")
    assert time.process_time() - start < 1


def test_the_limit_can_be_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PETL_MAX_TASKS", "250000")
    seeds = list(range(60_000))
    monkeypatch.setattr("petl.config.grid.MAX_TASKS", 1)
    assert len(expand(STUDY | {"matrix": MATRIX | {"seed": seeds[:10]}}, "few")) == 10


ODD = {
    "a date": "report: 2024-01-01",
    "a timestamp": "report: !!timestamp 2024-01-01T00:00:00Z",
    "no integer": "report: !!int many",
    "binary": "report: !!binary aGVsbG8=",
    "a set": "report: !!set {a, b}",
    "an object": "report: !!python/object/apply:os.system ['touch ran']",
    "4,300 digits": f"report: {'9' * 5_000}",
    "nothing in a section": "set: {dataset: null}",
    "a list in a section": "set: {dataset: [1]}",
    "deep": "set: " + "{a: " * 3_000 + "1" + "}" * 3_000,
    "deep lists": "set: " + "[" * 20_000,
    "a merge key": "set: {<<: {dataset: {folds: 2}}}",
}


@pytest.mark.parametrize("name", ODD)
def test_odd_yaml_is_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    key = ODD[name].partition(":")[0]
    kept = [line for line in QUICKSTART.splitlines() if not line.startswith(f"{key}:")]
    refusal(tmp_path / "odd.yaml", "\n".join([*kept, ODD[name]]))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name",
    ["a\nb", "..", ".", "-rf", "a%jb", "a;touch ran", "$(touch ran)", "a'b", 'a"b', "a\tb", "a`b"],
)
def test_a_name_that_a_shell_or_slurm_would_expand_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a study's name becomes a folder"):
        expand(STUDY, name)
    if "/" not in name and name not in (".", ".."):
        refusal(tmp_path / f"{name}.yaml", QUICKSTART)


def test_a_task_cannot_name_a_folder_elsewhere() -> None:
    """A manifest, a packed run or a task.json of somebody else's says where a run lies."""
    task = expand(STUDY, "mine")[0].to_json()
    for name in ("../../x", "/tmp/x", "..", "a/b"):
        task["names"]["study"] = name
        with pytest.raises(ValueError, match="study"):
            Task.model_validate(task)


@pytest.mark.parametrize("text", ["[" * 50_000, "{a: " * 20_000, "9" * 5_000, "!!int x", "&a [*a]"])
def test_a_value_on_the_command_line_is_data_too(text: str) -> None:
    try:
        parse_value(text)
    except UserError as error:
        assert "\n" not in str(error)


def test_a_path_that_is_too_long_is_one_line() -> None:
    result = CliRunner().invoke(app, ["plan", "x" * 5_000 + ".yaml"])
    assert result.exit_code == 2, result.exception
    assert result.stderr.count("\n") == 1
