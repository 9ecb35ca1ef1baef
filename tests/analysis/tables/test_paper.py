"""What the paper printed stands under what was measured, and only beside its own kind."""

import csv
import io

import pytest

from analysis.tables.paper import beside, references
from analysis.tables.tabulate import Options, tabulate
from petl.config.study import load_study
from petl.config.yamlfile import read_yaml
from petl.errors import UserError

ACCURACY = "test_last.accuracy"
PUBLISHED = Options(published=True)


@pytest.fixture
def two(made_study):
    """Of Table 1: full fine-tuning half a point above what is published, the linear probe on it."""
    published = {("full", "esc50"): 0.8798, ("full", "speech-commands"): 0.9781,
                 ("linear", "esc50"): 0.7585, ("linear", "speech-commands"): 0.4178}  # fmt: skip
    made = made_study(matrix={"dataset": ["esc50", "speech-commands"]})
    return made.run(lambda task: published[task.names.method, task.names.dataset])


def under(text, label):
    """What is printed under a row."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.split()[:1] == [label])
    return lines[at + 1].split()


# --- the facts ------------------------------------------------------------------------------------


def test_every_published_average_is_the_mean_of_its_row_once_one_is_corrected():
    published, _ = references()
    assert len(published.averages) == 11 + 4
    for (backbone, method), (average, datasets) in published.averages.items():
        row = [published.values[backbone, method, dataset] for dataset in datasets]
        assert sum(row) / len(row) == pytest.approx(average, abs=0.006), method
    assert [at for at, _ in published.notes] == [("ast", "FFT", "Avg")]


@pytest.mark.parametrize(("name", "cells"), [("table1", 44), ("table2", 32), ("table3", 12)])
def test_every_cell_of_the_studies_has_its_published_figure(name, cells):
    published, _ = references()
    wanted = {
        (task.names.backbone, task.names.method_label, task.names.dataset_label)
        for task in load_study(name).tasks
    }
    assert len(wanted) == cells
    assert wanted <= set(published.values)


def test_the_reproduction_is_of_one_method_on_two_datasets():
    _, reproduction = references()
    assert reproduction.values == {
        ("ast", "Conformer Pfeiffer", "ESC"): 85.7,
        ("ast", "Conformer Pfeiffer", "GSC"): 94.43,
    }


def test_the_shared_facts_are_all_here(shared_data):
    facts = shared_data.parent / "paper.yaml"
    if not facts.exists():
        pytest.skip(f"no {facts}")
    theirs = read_yaml(facts).data
    ours = read_yaml(load_study("table1").path.parent / "paper.yaml").data
    for name in ("source", "table1", "table2", "table3", "reproductions", "counts_esc50"):
        assert ours[name] == theirs[name], name


# --- beside ours ----------------------------------------------------------------------------------


def test_published_figures_are_printed_as_published_with_the_difference(two):
    text = tabulate(two.study, two.runs, PUBLISHED).in_format("text")
    assert under(text, "FFT") == ["published", "85M", "87.48", "+0.5", "97.31", "+0.5"]
    assert under(text, "Linear") == ["published", "9/40K", "75.85", "0.0", "41.78", "0.0"]
    assert "Cappellazzo" in text


def test_a_published_average_is_over_the_papers_datasets_or_not_there(made_study):
    four = ["esc50", "urbansound8k", "speech-commands", "fluent-speech-commands"]
    made = made_study(matrix={"dataset": four, "fold": 0}).run(lambda task: 0.9)
    found = tabulate(made.study, made.runs, PUBLISHED)
    text = found.in_format("text")
    assert under(text, "FFT")[-2:] == ["90.60", "\u22120.6"]
    assert "FFT, Avg: the paper prints 90.07; the mean of its row is 90.60." in text


def test_the_student_reproduction_is_a_line_of_its_own(made_study):
    made = made_study(matrix={"method": ["conformer-pfeiffer", "lora"]}).run(lambda task: 0.86)
    text = tabulate(made.study, made.runs, PUBLISHED).in_format("text")
    assert text.count("  reproduction  ") == 1
    assert under(text, "published")[0] == "reproduction"
    assert "85.70 +0.3" in text
    assert "batch 16 instead of 32" in text


def test_cells_beyond_the_tolerance_are_marked_in_every_format(two):
    two.run(lambda task: 0.86 if task.names.method == "full" else 0.7585)
    found = tabulate(two.study, two.runs, Options(tolerance=1.48))
    assert "\u22121.5" in found.in_format("text") and "\u22121.5!" not in found.in_format("text")
    found = tabulate(two.study, two.runs, Options(tolerance=1.4))
    assert "\u22121.5!" in found.in_format("text")
    assert "\u22121.5!" in found.in_format("markdown")
    assert r"\petloutside{$-$1.5!}" in found.in_format("latex")
    assert '<small class="outside"' in found.in_format("html")
    rows = list(csv.DictReader(io.StringIO(found.in_format("csv"))))
    assert [row["outside"] for row in rows] == ["True", "True", "False", "True"]


def test_incomplete_cells_are_compared_as_they_are_and_averages_not(made_study):
    made = made_study(matrix={"dataset": ["esc50", "speech-commands"], "method": "full"})
    made.run(lambda task: None if task.fold == 1 else 0.8748)
    text = tabulate(made.study, made.runs, PUBLISHED).in_format("text")
    assert "(4/5)" in text
    assert under(text, "FFT")[2:4] == ["87.48", "0.0"]


def test_own_methods_and_datasets_have_no_published_number(made_study):
    methods = {"mine": {"like": "linear", "label": "Mine"}}
    made = made_study(methods=methods, matrix={"method": ["full", "mine"]}).run(lambda task: 0.9)
    text = tabulate(made.study, made.runs, PUBLISHED).in_format("text")
    assert text.count("published  ") == 1
    alone = made_study(methods=methods, matrix={"method": "mine"}).run(lambda task: 0.9)
    with pytest.raises(UserError, match="has no number for made"):
        tabulate(alone.study, alone.runs, PUBLISHED)


def test_another_backbone_is_not_compared_with_the_papers(made_study):
    made = made_study(matrix={"backbone": ["ast", "ast-small"]}).run(lambda task: 0.9)
    found = tabulate(made.study, made.runs, PUBLISHED)
    assert found.in_format("text").count("published  ") == 2
    published, _ = references()
    assert published.value(found.table.rows[2], "ESC") is None


def test_only_accuracies_are_compared(made_study):
    made = made_study().run(lambda task: 0.9)
    with pytest.raises(
        UserError, match=r"compares accuracies, and this table shows test_last\.loss"
    ):
        tabulate(made.study, made.runs, Options(metric="test_last.loss", published=True))
    table = tabulate(made.study, made.runs, Options(metric="test_best")).table
    assert [reference.name for reference in beside(table)] == ["published"]
