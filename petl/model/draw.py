"""A picture of one layer of a model with its method, made from what petl.model.describe returns."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from petl.errors import UserError
from petl.files import refuse_foreign, write_output
from petl.model import shapes
from petl.model.shapes import SMALL, Shape, framed, rectangle, stack, write
from petl.picture import INK, STYLE

if TYPE_CHECKING:
    from petl.backbones.boxes import Box
    from petl.model.describe import Description

MADE_BY = "petl-ast draw"
METADATA = {
    "png": {},
    "pdf": {"Creator": MADE_BY, "CreationDate": None},
    "svg": {"Creator": MADE_BY, "Date": None},
}
LOOK = STYLE | {"svg.fonttype": "none", "svg.hashsalt": "petl"}
COLORS = 128
MARGIN, HEADER, NARROWEST, DPI = 14.0, 54.0, 330.0, 150
Legend = list[tuple[str, str, str]]


def draw_file(model: Description, path: Path) -> None:
    """Write the drawing; a file that petl did not make is not replaced."""
    kind = path.suffix.removeprefix(".").lower()
    if kind not in METADATA:
        raise UserError(f"{path}: the name of a drawing must end in .png, .pdf or .svg")
    refuse_foreign(path, MADE_BY.encode())
    write_output(path, to_bytes(model, kind))


@mpl.rc_context(LOOK)
def to_bytes(model: Description, kind: str) -> bytes:
    """The same model gives the same bytes, because no date is written."""
    buffer = BytesIO()
    draw(model).savefig(buffer, format=kind, metadata=METADATA[kind])
    return _small(buffer) if kind == "png" else buffer.getvalue()


def _small(picture: BytesIO) -> bytes:
    """A palette makes the file a third as large; flat colours look the same in it."""
    few = Image.open(picture).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    info, buffer = PngInfo(), BytesIO()
    info.add_text("Software", MADE_BY)
    few.save(buffer, format="png", optimize=True, pnginfo=info, dpi=(DPI, DPI))
    return buffer.getvalue()


@mpl.rc_context(LOOK)
def draw(model: Description) -> Figure:
    """Upwards: embeddings, the layer in which most trains, the last norm, the head."""
    column = stack(_column(model))
    headline = _headline(model)
    width = max(column.width, shapes.text_width(headline), NARROWEST) + 2 * MARGIN
    height = column.height + HEADER + 2 * MARGIN
    figure = Figure(figsize=(width / 72, height / 72), dpi=DPI)
    FigureCanvasAgg(figure)
    axis = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axis.set_axis_off()
    column.paint(axis, MARGIN, MARGIN)
    _write_header(axis, height - MARGIN, model.label, headline, _legend(model))
    return figure


def _column(model: Description) -> list[Shape]:
    """Everything is aligned on the port of the layer, the line that runs through all of it."""
    shown = max(model.layers, key=lambda layer: layer.train)
    title = _which_layers(model.layers, shown)
    layer = framed(shapes.shape(shown), title, shapes.PAPER, shapes.QUIET, INK, size=SMALL + 0.5)
    below = model.embeddings.parts or (model.embeddings,)
    above = [box for box in (model.norm, model.head) if box.kind != "line"]
    lower, upper = (
        [replace(shapes.shape(b), port=layer.port) for b in bs] for bs in (below, above)
    )
    return [*lower, layer, *upper]


def _which_layers(layers: tuple[Box, ...], shown: Box) -> str:
    """Which layers are like the one shown, and what the others train."""
    others = sorted({layer.train for layer in layers if layer != shown})
    if not others:
        return f"Each of {len(layers)} layers: {shown.train:,} train"
    which = _ranges([i for i, layer in enumerate(layers) if layer == shown])
    rest = " or ".join(f"{count:,}" for count in others)
    which = f"Layers {which} of 0-{len(layers) - 1}"
    return f"{which}: {shown.train:,} train in each; {rest} in the others"


def _ranges(indices: list[int]) -> str:
    """`0, 8-11`, as a study writes them."""
    runs: list[list[int]] = []
    for i in indices:
        if runs and i == runs[-1][-1] + 1:
            runs[-1].append(i)
        else:
            runs.append([i])
    return ", ".join(f"{run[0]}-{run[-1]}" if run[1:] else f"{run[0]}" for run in runs)


def _headline(model: Description) -> str:
    share = 100 * model.without_head / model.whole
    head = model.trained - model.without_head
    percent = f"{share:.0f}" if share >= 10 else f"{share:.2g}"
    counts = f"{model.without_head:,} parameters train ({percent} % of {model.whole:,})"
    return f"{counts}, and the head's {head:,}"


def _legend(model: Description) -> Legend:
    """An entry for each colour in the picture; in every model something trains."""
    boxes = [model.embeddings, *model.layers, model.norm, model.head]
    legend = [("trained", shapes.OWN_TINT, shapes.OWN)]
    if any(box.any(lambda one: one.frozen > 0) for box in boxes):
        legend.insert(0, ("frozen", shapes.FROZEN, shapes.EDGE))
    if any(box.any(lambda one: one.added) for box in boxes):
        legend.append(("added and trained", shapes.NEW_TINT, shapes.NEW))
    return legend


def _write_header(axis: Axes, top: float, label: str, headline: str, legend: Legend) -> None:
    write(axis, MARGIN, top - 6, label, 12, weight="bold")
    write(axis, MARGIN, top - 23, headline)
    x = MARGIN
    for text, face, edge in legend:
        rectangle(axis, x, top - 42, 8, 8, face, edge)
        write(axis, x + 13, top - 38, text, SMALL)
        x += 13 + shapes.text_width(text, SMALL) + 14
