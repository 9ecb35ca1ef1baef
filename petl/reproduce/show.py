"""One run, or what differs between two, as a few lines of text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from petl.config import Task
from petl.config.kinds import SPECTROGRAMS, metric
from petl.errors import several
from petl.reproduce.compare import first_difference, same
from petl.reproduce.environment import FACTS, differences, of_run
from petl.runs.directory import RunDir
from petl.runs.find import read_task
from petl.runs.result import SPLITS, Result

POINTS = 6
"""Epochs of a curve that are printed."""
ABSENT = "none"


def facts(run: RunDir) -> dict[str, Any]:
    """For `--json`: what the run's files say."""
    return {
        "folder": str(run.path),
        "state": asdict(run.state()),
        "task": run.task(),
        "result": run.result(),
        "epochs": run.metrics(),
        "failure": run.failure(),
    }


def show(run: RunDir) -> Iterator[str]:
    task, state, result = read_task(run), run.state(), run.result()
    yield str(task)
    yield f"run {task.run_id} in {run.path}"
    yield f"{state.kind}{': ' * bool(state.reason)}{state.reason}"
    if result is not None:
        yield from _results(result, task)
    if rows := run.metrics():
        yield from _section("curves", _curves(rows, task))
    settings = flat(task.to_json())
    yield from _section("settings", [f"{name}: {value}" for name, value in settings.items()])
    if result is not None:
        environment = result["environment"]
        known = [f"{name}: {environment[key]}" for key, name in FACTS.items() if key in environment]  # type: ignore[literal-required]
        yield from _section("environment", known)


def diff(one: RunDir, other: RunDir) -> Iterator[str]:
    """Nothing where both runs are the same in all that is recorded."""
    yield from _section("settings", _settings(one, other))
    results = one.result(), other.result()
    if results[0] and results[1]:
        yield from _section("results", _scores(results[0], results[1]))
    parts = first_difference(one.metrics(), other.metrics())
    yield from _section("curves", [f"they part ways in {parts}"] if parts else [])
    if results[0] and results[1]:
        before, after = (
            of_run(results[0], one.path.parents[1]),
            of_run(results[1], other.path.parents[1]),
        )
        yield from _section("environment", list(map(str, differences(before, after))))


def flat(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """`{"train": {"lr": 1}}` as `{"train.lr": 1}`."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        key = f"{before}{name}"
        found |= flat(value, f"{key}.") if isinstance(value, dict) and value else {key: value}
    return found


def _results(result: Result, task: Task) -> Iterator[str]:
    if (real := result.get("floors", {}).get("real")) is not None:
        yield from _section("synthetic clips, and real ones in their place", _beside(result, real))
    else:
        for split in SPLITS:
            scores: Mapping[str, float] = result["metrics"][split]  # type: ignore[literal-required]
            yield f"{split}: {', '.join(f'{name} {_text(name, v)}' for name, v in scores.items())}"
    params, timing = result["params"], result["timing"]
    epochs = several(result["epochs"], "epoch")
    best = f", the best one {result['best_epoch']} by {metric(task.best_by).title}"
    yield (
        f"{params['trainable']:,} of {params['total']:,} parameters trained, "
        f"{epochs} in {timing['seconds']:.0f} s{'' if task.generator else best}"
    )


def _beside(result: Result, real: Mapping[str, float]) -> list[str]:
    """A generator's measures with their 95 % intervals."""
    columns = {"test_last": result["metrics"]["test_last"], "real": real}
    intervals = result.get("intervals", {})

    def text(name: str, of: str) -> str:
        if name not in columns[of]:
            return ABSENT
        ends = intervals.get(of, {}).get(name)
        between = f" [{', '.join(metric(name).text(end) for end in ends)}]" if ends else ""
        return f"{metric(name).text(columns[of][name])}{between}"

    names = list(dict.fromkeys(name for scores in columns.values() for name in scores))
    rows = [(metric(name).title, text(name, "test_last"), text(name, "real")) for name in names]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [f"{title:<{widths[0]}}  {made:<{widths[1]}}  {of}" for title, made, of in rows]


def _curves(rows: Sequence[Mapping[str, Any]], task: Task) -> list[str]:
    """Some epochs, the first and the last among them."""
    last = len(rows) - 1
    shown = sorted({round(i * last / (POINTS - 1)) for i in range(POINTS)})
    columns = ["epoch", "train_loss", f"val_{task.kind.headline}", "lr"]
    if task.kind is SPECTROGRAMS:  # measured at its end; before, it looks at samples now and then
        columns[2:3] = ["diversity", "val_kernel_distance_mel"]
    return [
        ", ".join(f"{name} {rows[i][name]:.6g}" for name in columns if name in rows[i])
        for i in shown
    ]


def _settings(one: RunDir, other: RunDir) -> list[str]:
    a, b = (flat(read_task(run).to_json()) for run in (one, other))
    return [
        f"{name}: {a.get(name, ABSENT)}, and {b.get(name, ABSENT)}"
        for name in dict.fromkeys([*a, *b])
        if a.get(name, ABSENT) != b.get(name, ABSENT)
    ]


def _scores(one: Result, other: Result) -> list[str]:
    lines = []
    for split in SPLITS:
        a, b = one["metrics"][split], other["metrics"][split]  # type: ignore[literal-required]
        for name in dict.fromkeys([*a, *b]):
            x, y = a.get(name, math.nan), b.get(name, math.nan)
            if not same(x, y):
                lines.append(f"{split}.{name}: {_text(name, x)}, and {_text(name, y)}")
    return lines


def _text(name: str, value: float) -> str:
    return f"{100 * value:.2f} %" if metric(name).percent else f"{value:.6g}"


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield title
        yield from (f"  {line}" for line in lines)
