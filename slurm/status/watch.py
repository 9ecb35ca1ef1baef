"""Looking on while runs go: a live table on a terminal, plain lines anywhere else."""

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
from slurm.status.view import QUIET, progress, summary

LOOK_S = 5.0
"""Between two looks, each of which asks the scheduler."""
UNDER_WAY = ("running", "pending", "unknown")
Show = Callable[[str], None]


@contextmanager
def watch(plan: Plan, workers: int, console: Console) -> Iterator[Show]:
    """Yields what brings the view up to date; it may be called as often as one likes."""
    live = None
    if console.is_terminal and not console.is_dumb_terminal:
        live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
    view = _Table(plan, workers, live) if live else _Lines(plan, workers, console)
    with live or nullcontext():
        try:
            yield view.show
        finally:
            view.draw("")


class _View:
    every_s: float

    def __init__(self, plan: Plan, workers: int):
        self.plan, self.workers = plan, workers
        self.began = time.monotonic()
        self.drawn_at = float("-inf")

    def show(self, remark: str) -> None:
        if time.monotonic() - self.drawn_at > self.every_s:
            self.drawn_at = time.monotonic()
            self.draw(remark)

    def draw(self, remark: str) -> None:
        raise NotImplementedError

    def time(self) -> str:
        """How long it has taken, and how long it still will by what the finished runs took."""
        so_far = duration(time.monotonic() - self.began)
        ahead = [item for item in self.plan.items if not item.ended]
        if not ahead:
            return f"took {so_far}"
        wall = Means(self.plan.items).left(ahead).wall(self.workers)
        if wall is None:
            return f"{so_far} so far; time left is known after the first run of each dataset"
        return f"{so_far} so far, about {duration(wall)} left"


class _Table(_View):
    every_s = 0.5

    def __init__(self, plan: Plan, workers: int, live: Live):
        super().__init__(plan, workers)
        self.live = live

    def draw(self, remark: str) -> None:
        datasets = {item.task.names.dataset for item in self.plan.items}
        room = self.live.console.height - len(datasets) - 4
        closing = Text(_joined(self.time(), remark), style=QUIET)
        self.live.update(Rows(progress(self.plan, room), closing), refresh=True)


class _Lines(_View):
    """A line for each run that ends, and now and then one for the whole: made for a log file."""

    every_s = 15.0

    def __init__(self, plan: Plan, workers: int, console: Console):
        super().__init__(plan, workers)
        self.console = console
        self.told = {id(item) for item in plan.items if item.kind == "done"}

    def show(self, remark: str) -> None:
        for item in self.plan.items:
            if item.ended and id(item) not in self.told:
                self.told.add(id(item))
                self._say(_ending(item))
        super().show(remark)

    def draw(self, remark: str) -> None:
        self._say(_joined(summary(self.plan), self.time(), remark))

    def _say(self, line: str) -> None:
        self.console.print(f"{time.strftime('%H:%M:%S')}  {line}", soft_wrap=True)


def _ending(item: Item) -> str:
    if item.kind != "done":
        return f"{item.kind:9}{item.task}: {item.state.reason}"
    took = duration(item.seconds or 0)
    return f"done     {item.task}: {100 * (item.accuracy or 0):.1f} % in {took}"


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def look_on(plans: Callable[[], Sequence[Plan]], console: Console) -> None:
    """The same for runs that others carry out: asked again and again, until all have ended."""
    live = None
    if console.is_terminal and not console.is_dumb_terminal:
        live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
    told: list[str] = []
    with live or nullcontext():
        while True:
            now = plans()
            if live:
                room = console.height // len(now) - 6
                views = [
                    Rows(progress(plan, room), Text(plan.trouble, style=QUIET)) for plan in now
                ]
                live.update(Rows(*views), refresh=True)
            elif (lines := [f"{plan.study.name}: {summary(plan)}" for plan in now]) != told:
                told = lines
                for line in lines:
                    console.print(f"{time.strftime('%H:%M:%S')}  {line}", soft_wrap=True)
            if not any(item.kind in UNDER_WAY for plan in now for item in plan.items):
                return
            time.sleep(LOOK_S)
