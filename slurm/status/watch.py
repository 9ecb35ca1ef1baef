"""Follow runs until they end: a table on a terminal, plain lines in a log file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from rich.console import Console
from rich.console import Group as Rows
from rich.live import Live
from rich.text import Text

from slurm.format import duration
from slurm.status.plan import Item, Means, Plan
from slurm.status.view import MOST_EPOCHS, QUIET, progress, summary

LOOK_S = 5.0
"""Between two looks, each of which asks the scheduler."""
REDRAW_S, PRINT_S = 0.5, 15.0
UNDER_WAY = ("running", "silent", "pending", "unknown")
Show = Callable[[str], None]


@contextmanager
def watch(plan: Plan, workers: int, console: Console) -> Iterator[Show]:
    """Yields a function that brings the view up to date; it may be called very often."""
    began = time.monotonic()
    view = _View(console, lambda plan: _time(plan, workers, time.monotonic() - began))
    with view.live or nullcontext():
        try:
            yield lambda remark: view.show([plan], remark)
        finally:
            view.draw([plan])


def watch_cluster(plans: Callable[[], Sequence[Plan]], console: Console) -> None:
    """Until all runs have ended."""
    view = _View(console, lambda plan: plan.trouble)
    with view.live or nullcontext():
        while True:
            now = plans()
            view.draw(now)
            if not any(item.kind in UNDER_WAY for plan in now for item in plan.items):
                return
            time.sleep(LOOK_S)


class _View:
    """`closing` is a plan's last words."""

    def __init__(self, console: Console, closing: Callable[[Plan], str]):
        self.console, self.closing = console, closing
        self.live = None
        if console.is_terminal and not console.is_dumb_terminal:
            self.live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
        self.drawn_at = float("-inf")
        self.lines: list[str] = []
        self.ended: set[str] | None = None

    def show(self, plans: Sequence[Plan], remark: str) -> None:
        """Draw, unless that was done just before."""
        if not self.live:
            self._print_ended(plans)
        if time.monotonic() - self.drawn_at > (REDRAW_S if self.live else PRINT_S):
            self.draw(plans, remark)

    def draw(self, plans: Sequence[Plan], remark: str = "") -> None:
        self.drawn_at = time.monotonic()
        if self.live:
            datasets = {item.task.names.dataset for plan in plans for item in plan.items}
            room = (self.console.height - len(datasets)) // len(plans) - 4
            rows = [
                row
                for plan in plans
                for row in (progress(plan, room), Text(_joined(self.closing(plan), remark), QUIET))
            ]
            self.live.update(Rows(*rows), refresh=True)
            return
        self._print_ended(plans)
        lines = [
            f"{plan.study.name}: "
            f"{_joined(summary(plan), _epochs(plan), self.closing(plan), remark)}"
            for plan in plans
        ]
        if lines != self.lines:
            self.lines = lines
            self._print(lines)

    def _print_ended(self, plans: Sequence[Plan]) -> None:
        """A line for each run that has ended since the first look."""
        ended = {item.task.run_id: item for plan in plans for item in plan.items if item.ended}
        if self.ended is not None:
            self._print([_end(item) for run_id, item in ended.items() if run_id not in self.ended])
        self.ended = set(ended)

    def _print(self, lines: Sequence[str]) -> None:
        for line in lines:
            self.console.print(f"{time.strftime('%H:%M:%S')}  {line}", soft_wrap=True)


def _time(plan: Plan, workers: int, seconds: float) -> str:
    ahead = [item for item in plan.items if not item.ended]
    if not ahead:
        return f"took {duration(seconds)}"
    left = Means(plan.items).left(ahead).wall(workers)
    if left is None:
        return f"{duration(seconds)} so far; the first run of each dataset will tell the time left"
    if left < 1:  # the last epochs are over, and a test is left
        return f"{duration(seconds)} so far, nearly done"
    return f"{duration(seconds)} so far, about {duration(left)} left"


def _epochs(plan: Plan) -> str:
    """How far the runs under way are: `in epoch 13 of 50, 4 of 50`."""
    running = [item for item in plan.items if item.kind == "running"]
    ends = [(item.state.epoch, item.task.train.epochs) for item in running[:MOST_EPOCHS]]
    told = ", ".join(f"{min(epoch + 1, last)} of {last}" for epoch, last in ends)
    more = ", ..." if running[MOST_EPOCHS:] else ""
    return f"in epoch {told}{more}" if told else ""


def _end(item: Item) -> str:
    if item.kind != "done":
        return f"{item.kind:9}{item.task}: {item.state.reason}"
    took = duration(item.seconds or 0)
    score = "" if item.score is None else f"{item.task.kind.text(item.score)} in "
    return f"done     {item.task}: {score}{took}"


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
