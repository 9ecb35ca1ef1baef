"""Names beside the points of a plot, so that no name covers another name or a point.

Each name in turn moves to the cheapest of some positions around its point, given the others, until
no name moves. A name far from its point gets a thin line to it. All lengths are in typographic
points, so that nothing depends on the resolution.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

MARKER = 3.2  # half its width
NEAR = 8  # a closer name needs no line
DISTANCES = (6.5, 11, 17, 24, 32, 42, 54)
DIRECTIONS = 16
ROUNDS = 6
ALIGN_X = {0: "left", 0.5: "center", 1: "right"}
ALIGN_Y = {0: "bottom", 0.5: "center", 1: "top"}


@dataclass(frozen=True)
class Named:
    """A point in data coordinates; `low` and `high` are the ends of its error bar."""

    name: str
    x: float
    y: float
    low: float
    high: float
    color: Any


class Box(NamedTuple):
    left: float
    bottom: float
    right: float
    top: float

    def shared(self, other: Box) -> float:
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return width * height if width > 0 and height > 0 else 0.0

    def holds(self, x: float, y: float) -> bool:
        return self.left < x < self.right and self.bottom < y < self.top


class Position(NamedTuple):
    """An offset from the point to a part of the name: 0 is left or bottom, 1 right or top."""

    dx: float
    dy: float
    across: float
    up: float

    @property
    def distance(self) -> float:
        return math.hypot(self.dx, self.dy)

    def box(self, x: float, y: float, width: float, height: float) -> Box:
        left, bottom = x + self.dx - self.across * width, y + self.dy - self.up * height
        return Box(left, bottom, left + width, bottom + height)


def _positions() -> Iterator[Position]:
    for distance in DISTANCES:
        for turn in range(DIRECTIONS):
            angle = 2 * math.pi * turn / DIRECTIONS
            x, y = math.cos(angle), math.sin(angle)
            across, up = (round(1 - 1.2 * t) / 2 for t in (x, y))
            yield Position(distance * x, distance * y, across, up)


POSITIONS = tuple(_positions())


def write_names(
    axis: Axes, points: Sequence[Named], line: Sequence[tuple[float, float]] = ()
) -> None:
    """Call it when the axes have their final size; `line`: corners of the Pareto front."""
    layout = _Layout(axis, points, line)
    for _ in range(ROUNDS):
        before = list(layout.positions)
        for i in range(len(points)):
            layout.improve(i)
        if layout.positions == before:
            break
    for point, position in zip(points, layout.positions, strict=True):
        _write(axis, point, position)


class _Layout:
    """The positions of all names; at first each is to the right of its point."""

    def __init__(
        self, axis: Axes, points: Sequence[Named], line: Sequence[tuple[float, float]] = ()
    ):
        scale = axis.figure.dpi / 72
        self.frame = Box(*(axis.bbox.extents / scale))
        self.spots, self.ink = [], []
        for point in points:
            ends = [(point.x, y) for y in (point.y, point.low, point.high)]
            (x, y), (_, low), (_, high) = axis.transData.transform(ends) / scale
            self.spots.append((x, y))
            self.ink.append(Box(x - MARKER, y - MARKER, x + MARKER, y + MARKER))
            self.ink.append(Box(x - 2, low, x + 2, high))  # its error bar and the dots of its folds
        corners = axis.transData.transform(line) / scale if line else ()
        for (x0, y0), (x1, y1) in pairwise(corners):
            self.ink.append(Box(min(x0, x1) - 1, min(y0, y1) - 1, max(x0, x1) + 1, max(y0, y1) + 1))
        self.sizes = [_size(axis, point.name) for point in points]
        self.positions = [POSITIONS[0]] * len(points)

    def improve(self, i: int) -> None:
        others = [self._box(j, position) for j, position in enumerate(self.positions) if j != i]
        self.positions[i] = min(POSITIONS, key=lambda position: self._cost(i, position, others))

    def _box(self, i: int, position: Position) -> Box:
        return position.box(*self.spots[i], *self.sizes[i])

    def _cost(self, i: int, position: Position, others: list[Box]) -> float:
        box = self._box(i, position)
        outside = (box.right - box.left) * (box.top - box.bottom) - box.shared(self.frame)
        hidden = sum(box.shared(other) for other in (*others, *self.ink))
        return 5 * outside + 3 * hidden + position.distance + self._line_cost(i, position, others)

    def _line_cost(self, i: int, position: Position, others: list[Box]) -> float:
        """What a line across another name or point costs."""
        if position.distance <= NEAR:
            return 0
        foreign = [*others, *self.ink[: 2 * i], *self.ink[2 * i + 2 :]]
        x, y = self.spots[i]
        steps = [t / 8 for t in range(3, 9)]
        on_the_way = [(x + t * position.dx, y + t * position.dy) for t in steps]
        return 6 * sum(any(box.holds(*at) for box in foreign) for at in on_the_way)


def _size(axis: Axes, name: str) -> tuple[float, float]:
    text = axis.text(0, 0, name)
    box, scale = text.get_window_extent(), axis.figure.dpi / 72
    text.remove()
    return box.width / scale, box.height / scale


def _write(axis: Axes, point: Named, position: Position) -> None:
    line = {"arrowstyle": "-", "lw": 0.5, "color": point.color, "shrinkA": 0, "shrinkB": 0}
    axis.annotate(
        point.name,
        (point.x, point.y),
        xytext=position[:2],
        textcoords="offset points",
        ha=ALIGN_X[position.across],
        va=ALIGN_Y[position.up],
        color=point.color,
        arrowprops=line | {"relpos": position[2:]} if position.distance > NEAR else None,
        path_effects=[withStroke(linewidth=1.5, foreground="white")],
        zorder=5,
    ).set_in_layout(False)
