"""Looking on while runs go: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.console import Group as Rows
from rich.live import Live
from rich.text import Text

from slurm.plan import Item, Plan
from slurm.view import QUIET, duration, progress, summary

LIVE_S = 0.5
PLAIN_S = 15.0
Show = Callable[[str], None]


@contextmanager
def watch(plan: Plan, workers: int, console: Console) -> Iterator[Show]:
    """Yields what brings the view up to date; it may be called as often as one likes."""
    clock = _Clock(plan, workers)
    if not console.is_terminal or console.is_dumb_terminal:
        yield _Lines(plan, clock, console).show
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        view = _Table(plan, clock, live)
        try:
            yield view.show
        finally:
            view.draw("")


class _Clock:
    """How long it has taken, and how long it still will, by what the finished runs took."""

    def __init__(self, plan: Plan, workers: int):
        self.plan, self.workers = plan, workers
        self.begin = time.monotonic()

    def __str__(self) -> str:
        so_far = duration(time.monotonic() - self.begin)
        left = self.plan.left()
        wall = left.wall(self.workers)
        if wall is None:
            return f"{so_far} so far; time left is known after the first run of each dataset"
        return f"{so_far} so far, about {duration(wall)} left" if left.seconds else so_far


class _Table:
    def __init__(self, plan: Plan, clock: _Clock, live: Live):
        self.plan, self.clock, self.live = plan, clock, live
        self.shown_at = float("-inf")

    def show(self, remark: str) -> None:
        if time.monotonic() - self.shown_at > LIVE_S:
            self.draw(remark)

    def draw(self, remark: str) -> None:
        self.shown_at = time.monotonic()
        datasets = {item.task.names.dataset for item in self.plan.items}
        room = self.live.console.height - len(datasets) - 4
        closing = Text("; ".join(filter(None, (str(self.clock), remark))), style=QUIET)
        self.live.update(Rows(progress(self.plan, room), closing), refresh=True)


class _Lines:
    """A line for each run that ends, and now and then one for the whole: made for a log file."""

    def __init__(self, plan: Plan, clock: _Clock, console: Console):
        self.plan, self.clock, self.console = plan, clock, console
        self.told = {id(item) for item in plan.items if item.kind == "done"}
        self.summed_up_at = float("-inf")

    def show(self, remark: str) -> None:
        for item in self.plan.items:
            if item.ended and id(item) not in self.told:
                self.told.add(id(item))
                self._say(_one_line(item))
        if time.monotonic() - self.summed_up_at > PLAIN_S:
            self.summed_up_at = time.monotonic()
            self._say("; ".join(filter(None, (summary(self.plan), str(self.clock), remark))))

    def _say(self, line: str) -> None:
        self.console.print(f"{time.strftime('%H:%M:%S')}  {line}", soft_wrap=True)


def _one_line(item: Item) -> str:
    if item.kind != "done":
        return f"{item.kind:7}  {item.task}: {item.state.reason}"
    accuracy = 100 * (item.accuracy or 0)
    return f"done     {item.task}: {accuracy:.1f} % in {duration(item.seconds or 0)}"
