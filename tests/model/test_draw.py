"""A drawing shows what the model is: every parameter that trains stands in one of its boxes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from petl.backbones.boxes import Box
from petl.cli import app
from petl.config import Task, presets
from petl.config.study import EXPERIMENTS
from petl.config.yamlfile import read_yaml
from petl.errors import UserError
from petl.model.count import count
from petl.model.describe import Description, describe
from petl.model.draw import _column, draw
from petl.model.shapes import Shape

task_of = cache(presets.task_of)
METHODS = read_yaml(EXPERIMENTS / "presets.yaml").data["methods"]
PRESETS = [name for name, preset in METHODS.items() if "generator" not in preset]
BLOCK = {"kind": "bottleneck", "reduction": 64, "init": "normal"}
ADAPTER = {"family": "adapter", "block": BLOCK, "placement": "houlsby", "residual": True}
LORA = {"family": "lora", "reduction": 128, "scale": 8.0, "init": "normal"}
OTHERS: list[dict[str, Any]] = [
    {**ADAPTER, "composition": "parallel", "gate": "scalar", "layers": [0, "8-11"]},
    {**ADAPTER, "composition": "sequential", "gate": "input"},
    {**ADAPTER, "composition": "before"},
    {**LORA, "targets": ["o", "k"]},
    {**LORA, "family": "dora", "targets": ["q", "o"]},
    {"family": "prompt", "depth": "deep", "length": 4, "layers": [3, 7]},
    {"family": "combine", "methods": [{"family": "ssf"}, {"family": "prefix", "length": 2}]},
]


@pytest.fixture(scope="module")
def told() -> dict[str, Description]:
    return {name: describe(task_of(name)) for name in PRESETS}


def boxes(model: Description) -> list[Box]:
    return [model.embeddings, *model.layers, model.norm, model.head]


def every(box: Box) -> list[Box]:
    return [box, *(inner for part in box.parts for inner in every(part))]


def other(method: dict[str, Any]) -> Task:
    return Task.model_validate(task_of("linear").to_json() | {"method": method})


@pytest.mark.parametrize("name", PRESETS)
def test_what_trains_in_the_boxes_is_what_petl_count_counts(
    name: str, told: dict[str, Description]
) -> None:
    model = told[name]
    (row,) = count([task_of(name)], {"table1": {}, "counts_esc50": {}})
    assert (model.trained, model.without_head, model.whole) == (
        row.trainable,
        row.without_head,
        row.total,
    )
    assert sum(box.train for box in boxes(model)) == row.trainable
    assert model.head.train == row.trainable - row.without_head
    both = sum(one.trained + one.frozen for box in boxes(model) for one in every(box))
    assert both == row.total


@pytest.mark.parametrize("method", OTHERS, ids=lambda method: str(method["family"]))
def test_so_it_is_for_other_switches(method: dict[str, Any]) -> None:
    model = describe(other(method))
    assert sum(box.train for box in boxes(model)) == model.trained
    assert draw(model).axes[0].texts


@pytest.mark.parametrize("backbone", ["vit", "wav2vec2"])
def test_so_it_is_for_other_backbones(backbone: str) -> None:
    model = describe(task_of("bottleneck-houlsby", backbone))
    assert sum(box.train for box in boxes(model)) == model.trained


def test_the_title_says_which_layers_are_like_the_one_that_is_shown() -> None:
    words = [text.get_text() for text in draw(describe(other(OTHERS[0]))).axes[0].texts]
    assert "Layers 0, 8-11 of 0-11: 41,498 train in each; 0 in the others" in words


def test_what_the_method_added_is_told_apart_from_what_it_unfroze(
    told: dict[str, Description],
) -> None:
    layer = told["conformer-pfeiffer"].layers[0]
    assert sum(one.trained for one in every(layer) if one.added) == 22_560 - 1_536
    assert not any(box.any(lambda one: one.added) for box in boxes(told["full"]))
    assert {one.which for one in every(told["bitfit"].layers[3]) if one.trained} == {"bias"}


def test_what_is_computed_and_thrown_away_is_a_dead_end_where_the_profile_says_so() -> None:
    def idle(profile: str) -> list[str]:
        layer = describe(task_of("conformer-pfeiffer", profile=profile)).layers[0]
        return [one.name for one in every(layer) if one.kind == "idle"]

    assert (idle("as-run"), idle("as-intended")) == (["LayerNorm"], [])


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_becomes_a_picture_with_no_words_cut_or_over_each_other(
    name: str, told: dict[str, Description]
) -> None:
    figure = draw(told[name])
    words = [text for text in figure.axes[0].texts if text.get_text()]
    seen = [(text.get_text(), text.get_window_extent()) for text in words]
    for i, (one, here) in enumerate(seen):
        assert figure.bbox.x0 <= here.x0 and here.x1 <= figure.bbox.x1, one
        assert figure.bbox.y0 <= here.y0 and here.y1 <= figure.bbox.y1, one
        for another, there in seen[:i]:
            assert not here.overlaps(there), (one, another)


def test_the_stream_runs_straight_through_post_norm_layers_too() -> None:
    column: list[Shape] = _column(describe(task_of("linear", "wav2vec2")))
    assert len({shape.port for shape in column}) == 1


def petl(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["draw", *map(str, arguments)])


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_the_command_draws_and_draws_the_same_again(kind: str, tmp_path: Path) -> None:
    out = tmp_path / f"lora.{kind}"
    first = petl("lora", "--out", out)
    assert (first.exit_code, first.stdout) == (0, f"{out}\n")
    drawn = out.read_bytes()
    assert petl("lora", "--out", out).exit_code == 0
    assert out.read_bytes() == drawn and len(drawn) > 4000


def test_a_picture_is_named_after_its_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert petl("linear").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["linear.png"]


def test_what_somebody_else_made_stays(tmp_path: Path) -> None:
    out = tmp_path / "thesis.png"
    out.write_bytes(b"a picture of mine")
    told = petl("lora", "--out", out)
    assert told.exit_code == 2
    assert "was not made by petl" in told.stderr
    assert out.read_bytes() == b"a picture of mine"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["loar"], "unknown method 'loar'; did you mean 'lora'?"),
        (["lora", "--backbone", "wave2vec2"], "unknown backbone"),
        (["lora", "--out", "x.jpg"], "x.jpg: the name of a drawing must end in .png, .pdf or .svg"),
        (["lora", "--out", "/dev/null/x.png"], "cannot write /dev/null/x.png: "),
        (["spt-300", "--backbone", "wav2vec2"], "prompts are inserted after the CLS token"),
    ],
)
def test_a_mistake_is_one_line(wrong: list[str], said: str) -> None:
    told = petl(*wrong)
    assert told.exit_code == 2
    assert said in told.stderr
    assert told.stderr.startswith("petl: ") and told.stderr.count("\n") == 1
    assert "/tmp" not in told.stderr


def test_an_unknown_method_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'dpt-25'"):
        task_of("dpt-52")
