import math
import struct

import pytest
from matplotlib.text import Text

from analysis import load
from analysis.cells import build
from analysis.figures.parameters import draw
from analysis.measure import Measure
from analysis.style import in_words
from petl.picture import to_bytes

METHODS = ["full", "linear", "bitfit", "lora", "bottleneck-pfeiffer", "conformer-pfeiffer"]


def picture(made, metric="test_last.accuracy"):
    return draw(build(load(made.study, made.runs), metric))


def names(axis):
    return {text.get_text(): text for text in axis.texts}


@pytest.fixture
def crowded(made_study):
    """Three methods within 30,000 parameters and a percent of each other."""
    accuracy = dict(zip(METHODS, (0.92, 0.61, 0.88, 0.90, 0.905, 0.91), strict=True))
    made = made_study(matrix={"method": METHODS})
    return made.run(lambda task: accuracy[task.names.method] + task.fold / 500)


def test_every_method_is_named_and_no_name_hides_another(crowded):
    figure = picture(crowded)
    (axis,) = figure.axes
    assert set(names(axis)) == {
        "FFT", "Linear", "BitFit", "LoRA", "Bottleneck Pfeiffer", "Conformer Pfeiffer",
    }  # fmt: skip
    figure.draw_without_rendering()
    # a name's own box, without the line to its point
    extents = [Text.get_window_extent(name) for name in axis.texts]
    for i, one in enumerate(extents):
        assert axis.bbox.x0 <= one.x0
        assert one.x1 <= figure.bbox.x1
        assert not any(one.overlaps(other) for other in extents[:i])


def test_width_is_that_of_a_column_or_of_two(made_study):
    one = made_study().run(lambda task: 0.5)
    two = made_study(matrix={"dataset": ["esc50", "speech-commands"]}).run(lambda task: 0.5)
    assert picture(one).get_figwidth() == 3.4
    assert picture(two).get_figwidth() == 7.16
    assert len([axis for axis in picture(two).axes if axis.get_visible()]) == 2


def test_png_is_300_dpi_and_both_files_are_the_same_every_time(crowded):
    png = to_bytes(picture(crowded), "png")
    width, height = struct.unpack(">II", png[16:24])
    assert (width, height) == (1020, 806)
    assert png == to_bytes(picture(crowded), "png")
    assert to_bytes(picture(crowded), "pdf") == to_bytes(picture(crowded), "pdf")


def test_an_incomplete_method_is_hollow_and_says_what_it_has(made_study):
    made = made_study().run(lambda task: None if task.names.method == "full" and task.fold else 0.5)
    assert set(names(picture(made).axes[0])) == {"FFT (1/5)", "Linear"}


def test_nan_and_methods_without_parameters_do_not_break_it(made_study, made_result):
    made = made_study(matrix={"method": ["full", "linear", "lora"]})
    for task in made.study.tasks:
        result = made_result(task, math.nan if task.names.method == "full" else 0.5)
        result["params"]["trainable_without_head"] = 0
        made.write(task, result)
    assert set(names(picture(made).axes[0])) == {"Linear", "LoRA"}
    assert to_bytes(picture(made), "png")


def test_a_name_is_never_taken_for_a_formula(made_study):
    methods = {"odd": {"like": "linear", "label": r"$\frac{$"}}
    made = made_study(methods=methods, matrix={"method": "odd"}).run(lambda task: 0.5)
    assert to_bytes(picture(made), "png")


def test_nothing_to_draw_still_gives_a_figure(made_study):
    assert to_bytes(picture(made_study().run(lambda task: math.nan)), "pdf")


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("test_last.accuracy", "Test accuracy (%)"),
        ("val_best.loss", "Validation loss"),
        ("test_last.macro_f1", "Test macro f1 (%)"),
    ],
)
def test_axes_are_labelledin_words(metric, words):
    assert in_words(Measure.of(metric)) == words


def ticks(figure):
    figure.draw_without_rendering()
    (axis,) = [axis for axis in figure.axes if axis.get_visible()]
    low, high = axis.get_xlim()
    labels = axis.get_xticklabels()
    return [label.get_text() for label in labels if low <= label.get_position()[0] <= high]


@pytest.mark.parametrize(
    "methods",
    [["lora"], ["lora", "bottleneck-pfeiffer"], ["bitfit", "conformer-pfeiffer"], METHODS],
)
def test_parameters_have_ticks_also_within_a_decade(made_study, methods):
    found = ticks(picture(made_study(matrix={"method": methods}).run(lambda task: 0.5)))
    assert 2 <= len(found) <= 8 and len(set(found)) == len(found)


def test_dots_of_folds_are_on_the_error_bar_of_their_method(made_study):
    made = made_study(matrix={"method": "lora"}).run(lambda task: 0.5 + task.fold / 100)
    figure = picture(made)
    figure.draw_without_rendering()
    (axis,) = figure.axes
    shown = [line for line in axis.lines if line.get_marker() == "o"]
    pixels = [line.get_transform().transform(line.get_xydata()) for line in shown]
    assert len(shown) == 2 and len({round(float(x), 3) for at in pixels for x, _ in at}) == 1
