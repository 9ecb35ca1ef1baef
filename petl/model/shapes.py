"""Boxes laid out: each becomes a shape of a known size that can paint itself anywhere.

Everything flows upwards. A shape's port is the distance from its left edge to the line that enters
and leaves it; lengths are in points. All sizes are known before painting, so nothing overlaps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, FancyBboxPatch, Polygon
from matplotlib.textpath import TextPath

from petl.picture import INK

if TYPE_CHECKING:
    from petl.backbones.boxes import Box

DIM, QUIET, EDGE = "#5f5f5f", "#8a8a8a", "#c9c9c9"
FROZEN, PANEL, PAPER = "#eeeeee", "#f8f8f8", "white"
OWN, OWN_TINT = "#0173b2", "#d9eaf5"  # of the palette in petl.picture
NEW, NEW_TINT, NEW_PANEL = "#b35f00", "#fce3c4", "#fff8ee"
NAME, SMALL = 8.0, 7.0
GAP, PAD, TITLE, STREAM, RADIUS = 13.0, 8.0, 14.0, 14.0, 5.0
Paint = Callable[[Axes, float, float], None]


@dataclass(frozen=True)
class Shape:
    """`solid`: an arrow may end at it. `starts`: no input; `ends`: no output."""

    width: float
    height: float
    port: float
    paint: Paint
    solid: bool = False
    starts: bool = False
    ends: bool = False


@cache
def text_width(text: str, size: float = NAME, weight: str = "normal") -> float:
    if not text:
        return 0.0
    outline = TextPath((0, 0), text, size=size, prop=FontProperties(weight=weight))
    return float(outline.get_extents().width)


def write(
    axis: Axes, x: float, y: float, text: str, size: float = NAME, color: str = INK, **more: str
) -> None:
    settings = {"ha": "left", "va": "center_baseline"} | more
    axis.text(x, y, text, size=size, color=color, zorder=5, **settings)


def rectangle(
    axis: Axes, x: float, y: float, w: float, h: float, face: str, edge: str, **more: object
) -> None:
    settings = {"lw": 0.8, "zorder": 3, "boxstyle": "round,pad=0,rounding_size=2.5"} | more
    axis.add_patch(FancyBboxPatch((x, y), w, h, fc=face, ec=edge, **settings))


def line(axis: Axes, *points: tuple[float, float], arrow: bool = False) -> None:
    """Through the points; the head of an arrow touches the last one."""
    (x0, y0), (x, y) = points[-2:]
    xs, ys = zip(*points, strict=True)
    axis.plot(xs, ys, color=INK, lw=0.9, solid_joinstyle="round", zorder=2)
    if arrow:
        dx, dy = (x > x0) - (x < x0), (y > y0) - (y < y0)
        back, side = 4.0, 2.0
        ends = [(x - back * dx + s * dy, y - back * dy + s * dx) for s in (side, -side)]
        axis.add_patch(Polygon([(x, y), *ends], closed=True, fc=INK, ec="none", zorder=4))


def shape(box: Box) -> Shape:
    return LAYOUTS.get(box.kind, leaf)(box)


# --- single boxes ---------------------------------------------------------------------------------


def leaf(box: Box) -> Shape:
    """The name and note; below them, in colour, how many parameters train."""
    count, (face, edge, color) = _count(box), _colors(box)
    small = box.kind in ("op", "again")
    size, ink = SMALL if small else NAME, INK if face in (OWN_TINT, NEW_TINT) else DIM
    name, note = text_width(box.name, size), text_width(box.note, SMALL)
    space = 5 if box.note else 0
    width = max(name + space + note, text_width(count, SMALL, "bold"), 26) + 2 * PAD
    height = 15 if small else 27 if count else 20
    style = (0, (3, 2)) if box.kind in ("idle", "again") else "-"

    def paint(axis: Axes, x: float, y: float) -> None:
        rectangle(axis, x, y, width, height, face, edge, ls=style)
        start = x + (width - name - space - note) / 2
        upper = y + height * (0.69 if count else 0.5)
        write(axis, start, upper, box.name, size, ink)
        write(axis, start + name + space, upper, box.note, SMALL, QUIET)
        lower = y + height * 0.28
        write(axis, x + width / 2, lower, count, SMALL, color, ha="center", weight="bold")

    ends, starts = box.kind == "idle", box.kind == "again"
    return Shape(width, height, width / 2, paint, solid=True, ends=ends, starts=starts)


def _count(box: Box) -> str:
    return f"{box.which} {box.trained:,}".strip() if box.trained else ""


def _colors(box: Box) -> tuple[str, str, str]:
    """Of the inside, the edge and the count. If only a part trains, the inside is grey."""
    tint, color = (NEW_TINT, NEW) if box.added else (OWN_TINT, OWN)
    if box.kind in ("op", "again"):
        return PAPER, EDGE, color
    if not box.trained or box.kind == "idle":
        return FROZEN, EDGE, color
    return (FROZEN if box.frozen else tint), color, color


def through(box: Box) -> Shape:
    return Shape(2 * STREAM, 0, STREAM, lambda axis, x, y: None)


def tokens(box: Box) -> Shape:
    """A sequence: a small square for each token, at most as many as there is room for."""
    side, pitch, most, rest = 7.0, 8.8, 12, 16
    counted = any(part.trained for part in box.parts)
    height = 37.0 if counted else 27.0
    squares = [min(part.times, most) or rest for part in box.parts]
    rooms = [
        max(pitch * n, *(text_width(text, SMALL, "bold") for text in (part.name, _count(part))))
        for n, part in zip(squares, box.parts, strict=True)
    ]
    width = sum(rooms) + 5 * (len(rooms) - 1) + 2 * PAD

    def paint(axis: Axes, left: float, bottom: float) -> None:
        rectangle(axis, left, bottom, width, height, PAPER, EDGE)
        middle, top = left + PAD, bottom + height
        for part, n, room in zip(box.parts, squares, rooms, strict=True):
            middle += room / 2
            face, edge = (NEW_TINT, NEW) if part.added else (FROZEN, EDGE)
            for i in range(n):
                at = middle + (i - n / 2) * pitch + (pitch - side) / 2
                rectangle(axis, at, top - 12, side, side, face, edge, lw=0.6)
            color = INK if part.added else DIM
            write(axis, middle, top - 19.5, part.name, SMALL, color, ha="center")
            write(axis, middle, top - 29.5, _count(part), SMALL, NEW, ha="center", weight="bold")
            middle += room / 2 + 5

    return Shape(width, height, STREAM, paint, solid=True)


# --- boxes of boxes -----------------------------------------------------------------------------


def steps(box: Box) -> Shape:
    return stack([shape(part) for part in box.parts])


def stack(parts: Sequence[Shape], gap: float = GAP) -> Shape:
    port = max(part.port for part in parts)
    width = port + max(part.width - part.port for part in parts)
    height = sum(part.height for part in parts) + gap * (len(parts) - 1)

    def paint(axis: Axes, x: float, y: float) -> None:
        for i, part in enumerate(parts):
            if i:
                line(axis, (x + port, y - gap), (x + port, y), arrow=part.solid)
            part.paint(axis, x + port - part.port, y)
            y += part.height + gap

    return Shape(width, height, port, paint, solid=parts[0].solid)


def beside(parts: Sequence[Shape], between: float) -> tuple[list[float], float]:
    """Left edges and the whole width."""
    edges, x = [], 0.0
    for part in parts:
        edges.append(x)
        x += part.width + between
    return edges, x - between


def total(box: Box) -> Shape:
    """The first part is on the line; the others branch off and join it again at a plus."""
    parts = [shape(part) for part in box.parts]
    edges, width = beside(parts, between=16)
    port, tall = parts[0].port, max(part.height for part in parts)
    joins = not all(part.ends for part in parts[1:])
    below, above = GAP, 2 * RADIUS + 5 if joins else 0
    height = below + tall + above

    def paint(axis: Axes, x: float, y: float) -> None:
        floor, ceiling, plus = y, y + below + tall, y + below + tall + 5 + RADIUS
        for left, part in zip(edges, parts, strict=True):
            at, spare = x + left + part.port, 0 if part.ends else tall - part.height
            bottom = y + below + spare / 2
            main = part is parts[0]
            start = [(at, floor)] if main else [(x + port, floor + 2), (at, floor + 2)]
            if not part.starts:
                line(axis, *start, (at, bottom), arrow=part.solid)
            part.paint(axis, x + left, bottom)
            top = bottom + part.height
            if main:
                line(axis, (at, top), (at, plus - RADIUS if joins else ceiling), arrow=joins)
            elif not part.ends:
                line(axis, (at, top), (at, plus), (x + port + RADIUS, plus), arrow=True)
        if joins:
            axis.add_patch(Circle((x + port, plus), RADIUS, fc=PAPER, ec=INK, lw=0.9, zorder=4))
            for dx, dy in ((3, 0), (0, 3)):
                ends = [(x + port - dx, x + port + dx), (plus - dy, plus + dy)]
                axis.plot(*ends, color=INK, lw=0.9, zorder=5)

    return Shape(width, height, port, paint)


def meet(box: Box) -> Shape:
    """All parts read the same input; a bar above them names what combines them."""
    parts = [shape(part) for part in box.parts]
    edges, across = beside(parts, between=12)
    bar, tall = 16.0, max(part.height for part in parts)
    width = max(across, text_width(box.name, SMALL) + 2 * PAD)
    shift, height = (width - across) / 2, 2 * GAP + tall + bar
    ports = [shift + left + part.port for left, part in zip(edges, parts, strict=True)]
    port = ports[len(ports) // 2] if len(ports) % 2 else width / 2

    def paint(axis: Axes, x: float, y: float) -> None:
        ceiling = y + GAP + tall + GAP
        for left, part, at in zip(edges, parts, ports, strict=True):
            bottom = y + GAP + (tall - part.height) / 2
            bus = [(x + port, y), (x + port, y + 3), (x + at, y + 3)]
            line(axis, *bus, (x + at, bottom), arrow=part.solid)
            part.paint(axis, x + shift + left, bottom)
            line(axis, (x + at, bottom + part.height), (x + at, ceiling), arrow=True)
        rectangle(axis, x, ceiling, width, bar, PAPER, EDGE)
        write(axis, x + width / 2, ceiling + bar / 2, box.name, SMALL, DIM, ha="center")

    return Shape(width, height, port, paint)


def frame(box: Box) -> Shape:
    inner = stack([shape(part) for part in box.parts])
    face, edge = (NEW_PANEL, NEW) if box.added else (PANEL, EDGE)
    copies = 2 if box.times > 1 else 0
    return framed(inner, box.name, face, edge, DIM if edge == EDGE else NEW, copies)


def framed(
    inner: Shape, title: str, face: str, edge: str, color: str, copies: int = 0, size: float = SMALL
) -> Shape:
    """A panel around it, with its title beside the line that leaves it and `copies` behind."""
    needs, room = text_width(title, size, "bold") + 5, inner.port
    wider = needs - room if room < needs <= room + 20 else 0.0
    left = needs <= room + wider
    edge_to_inner = PAD + wider
    port = inner.port + edge_to_inner
    width = inner.width + 2 * edge_to_inner if left else max(inner.width, room + needs) + 2 * PAD
    height, step = inner.height + 2 * PAD + TITLE - 2, 3.0
    title_at = PAD if left else port + 6

    def paint(axis: Axes, x: float, y: float) -> None:
        for i in range(copies, -1, -1):
            rectangle(axis, x + i * step, y + i * step, width, height, face, edge, zorder=1)
        line(axis, (x + port, y), (x + port, y + PAD), arrow=inner.solid)
        inner.paint(axis, x + edge_to_inner, y + PAD)
        line(axis, (x + port, y + PAD + inner.height), (x + port, y + height + copies * step))
        write(axis, x + title_at, y + height - TITLE / 2, title, size, color, weight="bold")

    return Shape(width + copies * step, height + copies * step, port, paint)


LAYOUTS = {
    "line": through,
    "tokens": tokens,
    "steps": steps,
    "total": total,
    "meet": meet,
    "frame": frame,
}
