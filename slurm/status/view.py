"""How a plan is shown: tables for a terminal of 80 columns, readable without colour."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from shlex import quote
from statistics import fmean
from typing import Literal

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.console import Group as Rows
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from petl.errors import several
from petl.runs.damage import damage_of
from petl.terminal import echo
from slurm.format import duration
from slurm.status.plan import Group, Item, Left, Means, Plan, count
from slurm.status.state import Kind

# kind: its glyph, its glyph without Unicode, its style
KINDS: dict[Kind, tuple[str, str, str]] = {
    "done": ("●", "#", "green"),
    "running": ("◐", ">", "cyan"),
    "silent": ("◑", "!", "bold yellow"),
    "pending": ("○", "-", "blue"),
    "failed": ("✗", "x", "bold red"),
    "lost": ("?", "?", "bold red"),
    "stopped": ("◌", "o", "yellow"),
    "unknown": ("~", "~", "yellow"),
    "waiting": ("·", ".", "bright_black"),
}
BY_INTEREST: tuple[Kind, ...] = (
    *("running", "silent", "failed", "lost", "stopped", "unknown", "pending", "waiting", "done"),
)
BAR = 20
TROUBLED: tuple[Kind, ...] = ("silent", "failed", "lost", "stopped", "unknown")
MOST_EPOCHS = 6
Justify = Literal["left", "right"]
Groups = Mapping[Group, list[Item]]
QUIET = "bright_black"


class Bar:
    """A glyph for each run; with more runs than cells, glyphs in proportion."""

    def __init__(self, counts: Mapping[Kind, int]):
        self.cells = shares(counts, BAR)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        bar = Text(no_wrap=True, end="")
        for kind, cells in self.cells.items():
            bar.append(KINDS[kind][options.ascii_only] * cells, KINDS[kind][2])
        yield bar

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        width = sum(self.cells.values())
        return Measurement(width, width)


def shares(counts: Mapping[Kind, int], width: int) -> dict[Kind, int]:
    """How many cells each kind gets: at least one if there is any, at the largest one's expense."""
    present: dict[Kind, int] = {kind: counts[kind] for kind in KINDS if counts.get(kind)}
    total = sum(present.values())
    if total <= width:
        return present
    cells = {kind: max(1, n * width // total) for kind, n in present.items()}
    cells[max(present, key=lambda kind: present[kind])] += width - sum(cells.values())
    return cells


def progress(plan: Plan, room: int | None = None) -> Rows:
    """A row for each group: its bar, its mean score so far, a remark; then the total.

    With room for fewer groups, the most interesting ones are shown and the rest is counted.
    """
    groups = plan.groups()
    shown = _most_interesting(groups, room)

    def cells(items: Sequence[Item]) -> list[RenderableType]:
        counts = count(items)
        done = f"{counts['done']}/{len(items)}"
        return [Bar(counts), done, _mean_score(items), _shrinking(_remark(items), QUIET)]

    titles = dict.fromkeys(items[0].task.kind.title for items in groups.values())
    heads = ("", "done", " or ".join(titles))
    table = _table(shown, heads, ("left", "right", "right", "left"), cells)
    rows: list[RenderableType] = [table, Text(""), Text(summary(plan), style="bold")]
    if hidden := [item for group in groups if group not in shown for item in groups[group]]:
        more = f"  {several(len(groups) - len(shown), 'more row')}: {in_words(count(hidden))}"
        rows.insert(1, _shrinking(more, QUIET))
    return Rows(*rows)


def overview(plan: Plan) -> Rows:
    """What `petl plan` shows: counts, and how long the rest takes, one run after the other."""
    means = Means(plan.items)

    def cells(items: Sequence[Item]) -> list[RenderableType]:
        have, left = count(items), means.left(items)
        to_go = have["waiting"] + have["stopped"]
        numbers = (len(items), have["done"], have["running"], have["failed"], to_go)
        total = duration(sum(left.seconds)) if left.seconds else ""
        return [*(str(number or "") for number in numbers), "unknown" if left.unknown else total]

    heads = ("runs", "done", "running", "failed", "to go", "time")
    table = _table(plan.groups(), heads, ["right"] * 6, cells)
    remarks = [*plan.study.notes, _time_left(plan.left())]
    if plan.shared:
        more = several(plan.shared, "more task")
        remarks.append(f"{more} with the same settings as one of these runs")
    return Rows(
        Text(plan.study.description, style="bold"),
        Text(""),
        table,
        Text(""),
        Text(summary(plan), style="bold"),
        *(Text(remark, style=QUIET) for remark in remarks if remark),
    )


def lines(plan: Plan) -> Iterator[str]:
    """For grep: each run with the options that select it."""
    for item in plan.items:
        task, names = item.task, item.task.names
        chosen = {"dataset": names.dataset, "backbone": names.backbone, "method": names.method}
        selectors = " ".join(f"--{key} {quote(name)}" for key, name in chosen.items())
        yield f"{task.run_id}  {item.kind:7}  {selectors} --fold {task.fold} --seed {task.seed}"


def name_damage(items: Iterable[Item]) -> None:
    """On stderr, a line for each damaged file of runs that have no result."""
    for item in items:
        if item.kind != "done" and os.path.lexists(item.run.path):
            for damage in damage_of(item.run):
                echo(damage, err=True)


def line(item: Item) -> str:
    """For people, and for grep."""
    said = item.state.reason
    if item.score is not None:
        said = f"{item.task.kind.title} {item.task.kind.text(item.score)}"
    return f"{item.task.run_id}  {item.kind:7}  {item.task}{'  ' * bool(said)}{said}"


def troubles(items: Iterable[Item], most: int = 10) -> Iterator[str]:
    """Why runs failed, stopped or are lost, and which log tells more."""
    bad = [item for item in items if item.kind in TROUBLED]
    for item in bad[:most]:
        yield f"\n{item.kind:9}{item.task}"
        yield f"{'':9}{item.state.reason}"
        if item.log.exists():
            here = Path.cwd()
            log = item.log.relative_to(here) if item.log.is_relative_to(here) else item.log
            yield f"{'':9}{log}"
    if len(bad) > most:
        yield f"\n{'':9}and {len(bad) - most} more"


def summary(plan: Plan) -> str:
    counts = plan.counts()
    done, total = counts.pop("done", 0), len(plan.items)
    return ", ".join(part for part in (f"{done} of {total} done", in_words(counts)) if part)


def in_words(counts: Mapping[Kind, int]) -> str:
    return ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts.get(kind))


def _table(
    groups: Groups,
    heads: Sequence[str],
    columns: Sequence[Justify],
    cells: Callable[[Sequence[Item]], Sequence[RenderableType]],
) -> Table:
    """A row for each group, under its dataset; cells of `_shrinking` text narrow before others."""
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column()
    for justify in columns:
        table.add_column(justify=justify, no_wrap=justify == "right")
    titles = [Text(head, style=QUIET) for head in heads]
    for dataset, members in _by_dataset(groups).items():
        table.add_row(_shrinking(dataset, "bold"), *titles)
        titles = []
        for group, items in members.items():
            table.add_row(_shrinking(f"  {group.method}"), *cells(items))
    return table


def _shrinking(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _by_dataset(groups: Groups) -> dict[str, Groups]:
    """With the backbone, where a study has several."""
    several = len({group.backbone for group in groups}) > 1
    titles: dict[str, dict[Group, list[Item]]] = {}
    for group, items in groups.items():
        title = f"{group.dataset} · {group.backbone}" if several else group.dataset
        titles.setdefault(title, {})[group] = items
    return dict(titles)


def _most_interesting(groups: Groups, room: int | None) -> Groups:
    if room is None or len(groups) <= room:
        return groups

    def rank(group: Group) -> int:
        counts = count(groups[group])
        return min(i for i, kind in enumerate(BY_INTEREST) if counts[kind])

    chosen = set(sorted(groups, key=rank)[: max(1, room - 1)])
    return {group: items for group, items in groups.items() if group in chosen}


def _mean_score(items: Sequence[Item]) -> str:
    scores = [item.score for item in items if item.score is not None]
    return items[0].task.kind.text(fmean(scores)) if scores else ""


def _remark(items: Sequence[Item]) -> str:
    counts = count(items)
    remarks = [f"{counts[kind]} {kind}" for kind in TROUBLED if counts[kind]]
    running = [item for item in items if item.kind == "running"]
    if len(running) == 1 and items[0].attempts:
        remarks.append(running[0].state.reason)
    elif running:
        epochs = [str(item.state.epoch) for item in running[:MOST_EPOCHS]]
        more = ", ..." if running[MOST_EPOCHS:] else ""
        remarks.append(f"epoch {', '.join(epochs)}{more} of {items[0].task.train.epochs}")
    pending = Counter(item.state.reason for item in items if item.kind == "pending")
    if pending:
        (reason, number), *_ = pending.most_common(1)
        remarks.append(f"{number} pending" + (f": {reason}" if reason else ""))
    return "; ".join(remarks)


def _time_left(left: Left) -> str:
    if not left.seconds:
        return "time left: known after the first run" if left.unknown else ""
    known = f"time left: about {duration(sum(left.seconds))}, one run after the other"
    more = f"; {several(left.unknown, 'more run')} of unknown length" if left.unknown else ""
    return known + more
