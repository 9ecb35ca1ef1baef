"""How figures print: what they say, and whether it is seen without colour."""

from __future__ import annotations

import json
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figure_studies import FEW, Make
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from analysis.figures.figure import FIGURES, draw
from analysis.figures.runs import _fill
from petl.config.study import Study
from petl.picture import DASHES, HATCHES, MARKERS, line_look, to_bytes
from petl.runs.directory import RunDir


def told(figure: Figure) -> str:
    return " ".join(text.get_text().replace("\n", " ") for text in figure.texts)


@pytest.fixture(scope="module")
def everything(make: Make) -> tuple[Study, Path]:
    """Runs for all figures, but for one that is missing."""
    study, runs = make(["linear", "k3", "k8", "lora-32", "lora-128"], [*FEW])
    gone = RunDir.of(study.tasks[0], runs).path
    for file in gone.iterdir():
        file.unlink()
    gone.rmdir()
    return study, runs


@pytest.mark.parametrize(
    "name",
    [name for name in FIGURES if name not in ("predictions", "pretraining", "samples", "shares")],
)
def test_each_says_what_is_made_up_and_missing_and_fits_a_column(
    name: str, everything: tuple[Study, Path]
) -> None:
    one = {"method": "linear", "dataset": "esc-1"} if name == "confusion" else {}
    over = ["method.reduction"] if name == "grid" else []
    figure = draw(name, *everything, width="single", over=over, **one)
    assert figure.get_figwidth() == 3.4
    assert figure.get_suptitle().startswith("SYNTHETIC")
    total = 2 if one else 20
    assert f"1 of {total} runs are not finished: Linear (1)" in told(figure)
    pdf = to_bytes(figure, "pdf")
    assert b"/FontFile2" in pdf  # embedded as TrueType, which is type 42
    assert b"/Type3" not in pdf
    title = figure._suptitle.get_window_extent()
    below = [legend.get_window_extent().y1 for legend in figure.legends]
    below += [axis.get_tightbbox().y1 for axis in figure.axes if axis.get_visible()]
    assert max(below) <= title.y0


def grey(color: Any) -> float:
    red, green, blue = to_rgb(color[:3])
    return 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def test_lines_are_dark_enough_on_paper_and_differ_without_colour() -> None:
    looks = [line_look(i) for i in range(len(MARKERS))]
    assert len({look["marker"] for look in looks}) == len(looks)
    assert all(contrast(grey(look["color"]), 1) >= 3 for look in looks)  # as WCAG asks of graphics
    assert len(set(map(str, DASHES))) == len(DASHES)


def test_neighbouring_areas_differ_in_grey_and_in_hatch() -> None:
    fills = [_fill(i) for i in range(len(HATCHES))]
    assert len({fill["hatch"] for fill in fills}) == len(fills)
    for one, other in pairwise(fills):
        assert contrast(grey(one["facecolor"]), grey(other["facecolor"])) >= 1.25


def test_a_printed_heat_map_is_darker_where_more_is_right(make: Make) -> None:
    """Rendered, turned to grey, and read back from the pixels."""
    study, runs = make(["linear", "lora"], ["urbansound8k"], lambda task: 0.5)
    for task in study.tasks:  # one class always right, one always wrong
        run = RunDir.of(task, runs)
        matrix = np.zeros((10, 10), int)
        matrix[np.arange(10), np.arange(10)] = np.arange(10)
        matrix[np.arange(10), (np.arange(10) + 1) % 10] += 9 - np.arange(10)
        result = run.result() | {"confusion": {"test_last": matrix.tolist()}}
        run.result_file.write_text(json.dumps(result))
    figure = draw("classes", study, runs, width="single")
    picture = np.asarray(Image.open(BytesIO(to_bytes(figure, "png"))).convert("L"), float)
    axis, scale = figure.axes[0], 300 / figure.dpi
    places = axis.transData.transform([(i + 0.12, 0.15) for i in range(10)]) * scale
    shades = [picture[len(picture) - round(y), round(x)] for x, y in places]
    assert shades == sorted(shades, reverse=True)
    assert shades[0] - shades[-1] > 150
