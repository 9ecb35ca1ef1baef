"""What a person sees of a plan: tables for a terminal of 80 columns, readable without colour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Literal

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.console import Group as Rows
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from slurm.format import duration
from slurm.status.plan import Group, Item, Left, Means, Plan, count
from slurm.status.verdict import Kind

# kind: its glyph, its glyph where there is no Unicode, its style
KINDS: dict[Kind, tuple[str, str, str]] = {
    "done": ("●", "#", "green"),
    "running": ("◐", ">", "cyan"),
    "pending": ("○", "-", "blue"),
    "failed": ("✗", "x", "bold red"),
    "lost": ("?", "?", "bold red"),
    "stopped": ("◌", "o", "yellow"),
    "unknown": ("~", "~", "yellow"),
    "waiting": ("·", ".", "bright_black"),
}
TELLING: tuple[Kind, ...] = (
    *("running", "failed", "lost", "stopped", "unknown", "pending", "waiting", "done"),
)
BAR = 20
ENDS: tuple[Kind, ...] = ("failed", "lost", "stopped", "unknown")
MOST_EPOCHS = 6
Justify = Literal["left", "right"]
QUIET = "bright_black"


class Bar:
    """A glyph for each run; where there are more runs than room, glyphs in proportion."""

    def __init__(self, counts: Mapping[Kind, int]):
        self.counts = counts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        bar = Text(no_wrap=True, end="")
        for kind, cells in shares(self.counts, BAR).items():
            bar.append(KINDS[kind][options.ascii_only] * cells, KINDS[kind][2])
        yield bar

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        width = sum(shares(self.counts, BAR).values())
        return Measurement(width, width)


def shares(counts: Mapping[Kind, int], width: int) -> dict[Kind, int]:
    """How many cells each kind gets: at least one where there is any; the largest pays for it."""
    present: dict[Kind, int] = {kind: counts[kind] for kind in KINDS if counts.get(kind)}
    total = sum(present.values())
    if total <= width:
        return present
    cells = {kind: max(1, n * width // total) for kind, n in present.items()}
    cells[max(present, key=lambda kind: present[kind])] += width - sum(cells.values())
    return cells


def progress(plan: Plan, room: int | None = None) -> Rows:
    """A row for each group: its bar, its mean accuracy so far, a remark; then the total.

    With room for fewer groups, those where something happens are shown and the rest is counted.
    """
    groups = plan.groups()
    shown = _most_telling(groups, room)
    heads = [Text(head, style=QUIET) for head in ("", "done", "accuracy")]
    table = _table("left", "right", "right", "left")
    for title, members in _by_title(shown).items():
        table.add_row(_giving_way(title, "bold"), *heads)
        heads = []
        for group in members:
            items = shown[group]
            counts = count(items)
            table.add_row(
                _giving_way(f"  {group.method}"),
                Bar(counts),
                f"{counts['done']}/{len(items)}",
                _percent(items),
                _giving_way(_remark(items), QUIET),
            )
    rows: list[RenderableType] = [table, Text(""), Text(summary(plan), style="bold")]
    if hidden := [item for group in groups if group not in shown for item in groups[group]]:
        more = f"  {len(groups) - len(shown)} more rows: {tell(count(hidden))}"
        rows.insert(1, _giving_way(more, QUIET))
    return Rows(*rows)


def overview(plan: Plan) -> Rows:
    """What `petl plan` says."""
    study = plan.study
    remarks = [_time_left_in_words(plan.left())]
    if plan.shared:
        remarks.append(f"{plan.shared} more tasks have the settings of one of these and share it")
    return Rows(
        Text(study.description, style="bold"),
        Text(""),
        _table_of(plan),
        Text(""),
        Text(summary(plan), style="bold"),
        *(Text(remark, style=QUIET) for remark in remarks if remark),
    )


def lines(plan: Plan) -> Iterator[str]:
    """For grep: each run with what selects it."""
    for item in plan.items:
        task, names = item.task, item.task.names
        selectors = f"--dataset {names.dataset} --backbone {names.backbone} --method {names.method}"
        yield f"{task.run_id}  {item.kind:7}  {selectors} --fold {task.fold} --seed {task.seed}"


def line(item: Item) -> str:
    """For a person, and for grep."""
    reason = f"  {item.state.reason}" if item.state.reason else ""
    return f"{item.task.run_id}  {item.kind:7}  {item.task}{reason}"


def troubles(items: Iterable[Item], most: int = 10) -> Iterator[str]:
    """Why runs failed, stopped or are lost, and where to read more."""
    bad = [item for item in items if item.kind in ENDS]
    for item in bad[:most]:
        yield f"\n{item.kind:9}{item.task}"
        yield f"{'':9}{item.state.reason}"
        if item.log.exists():
            yield f"{'':9}{_short(item.log)}"
    if len(bad) > most:
        yield f"\n{'':9}and {len(bad) - most} more"


def _table_of(plan: Plan) -> Table:
    """Counts for each group, and how long what is left would take, one run after the other."""
    means = Means(plan.items)
    numeric: list[Justify] = ["right"] * 6
    table = _table(*numeric)
    heads = [Text(head, QUIET) for head in ("runs", "done", "running", "failed", "to go", "time")]
    for title, members in _by_title(plan.groups()).items():
        table.add_row(_giving_way(title, "bold"), *heads)
        heads = []
        for group, items in members.items():
            have, left = count(items), means.left(items)
            to_go = have["waiting"] + have["stopped"]
            numbers = (len(items), have["done"], have["running"], have["failed"], to_go)
            cells = (str(number or "") for number in numbers)
            table.add_row(_giving_way(f"  {group.method}"), *cells, _time_left(left))
    return table


def summary(plan: Plan) -> str:
    counts = plan.counts()
    done, total = counts.pop("done", 0), len(plan.items)
    return ", ".join(part for part in (f"{done} of {total} done", tell(counts)) if part)


def tell(counts: Mapping[Kind, int]) -> str:
    return ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts.get(kind))


def _table(*columns: Justify) -> Table:
    """Columns after a first one of names. Cells cut with `_giving_way` narrow before others do."""
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column()
    for justify in columns:
        table.add_column(justify=justify, no_wrap=justify == "right")
    return table


def _giving_way(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _by_title(groups: Mapping[Group, list[Item]]) -> dict[str, dict[Group, list[Item]]]:
    """Groups under their dataset, and backbone where a study has several."""
    several = len({group.backbone for group in groups}) > 1
    titles: dict[str, dict[Group, list[Item]]] = {}
    for group, items in groups.items():
        title = f"{group.dataset} · {group.backbone}" if several else group.dataset
        titles.setdefault(title, {})[group] = items
    return titles


def _most_telling(groups: dict[Group, list[Item]], room: int | None) -> dict[Group, list[Item]]:
    if room is None or len(groups) <= room:
        return groups

    def rank(group: Group) -> int:
        counts = count(groups[group])
        return min(i for i, kind in enumerate(TELLING) if counts[kind])

    chosen = set(sorted(groups, key=rank)[: max(1, room - 1)])
    return {group: items for group, items in groups.items() if group in chosen}


def _percent(items: Sequence[Item]) -> str:
    accuracies = [item.accuracy for item in items if item.accuracy is not None]
    return f"{100 * fmean(accuracies):.1f} %" if accuracies else ""


def _remark(items: Sequence[Item]) -> str:
    counts = count(items)
    remarks = [f"{counts[kind]} {kind}" for kind in ENDS if counts[kind]]
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


def _short(path: Path) -> Path:
    """As a person here would type it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _time_left_in_words(left: Left) -> str:
    if not left.seconds:
        return "time left: known after the first run" if left.unknown else ""
    known = f"time left: about {duration(sum(left.seconds))}, one run after the other"
    return f"{known}; {left.unknown} more runs of unknown length" if left.unknown else known


def _time_left(left: Left) -> str:
    if left.unknown:
        return "unknown"
    return duration(sum(left.seconds)) if left.seconds else ""
