"""Measures of generators: of one run each, beside those of real clips, with their intervals."""

from __future__ import annotations

from typing import Any

from analysis.cells import KEY
from analysis.html.report import Report
from analysis.markup import Html, details, el, grid, join
from petl.config.kinds import metric
from petl.runs.directory import RunDir

MOST = 24
NOTE = (
    "In brackets is the 95 % interval over halves of the clips. Real clips: as many training clips "
    "in the place of the synthetic ones. The metrics of the second encoder and of mel statistics "
    "are beside those of the study's backbone."
)


def of_generators(report: Report) -> Html:
    """The first finished run of each generator; nothing where the study has none."""
    done = report.done
    if "generator.kind" not in done or done["generator.kind"].isna().all():
        return Html("")
    firsts = done[done["generator.kind"].notna()].drop_duplicates(KEY).iloc[:MOST]
    boxes = []
    for _, run in firsts.iterrows():
        result: Any = RunDir(report.runs / run["study"] / run["run_id"]).result() or {}
        who = f"{run['method_label']} · {run['dataset_label']} · fold {run['fold']}"
        rows = list(_rows(result))
        if rows:
            table = grid(("Measure", "Synthetic clips", "Real clips"), rows)
            boxes.append(details(f"{who} · seed {run['seed']}: measures", table))
    return join([*boxes, el("p", NOTE, class_="note")]) if boxes else Html("")


def _rows(result: Any) -> Any:
    scores = result.get("metrics", {}).get("test_last", {})
    floor = result.get("floors", {}).get("real", {})
    ends = result.get("intervals", {})
    for name, value in scores.items():
        title = metric(name).title
        yield (
            title[:1].upper() + title[1:],
            _told(name, value, ends.get("test_last", {}).get(name)),
            _told(name, floor.get(name), ends.get("real", {}).get(name)),
        )


def _told(name: str, value: float | None, ends: list[float] | None) -> str:
    if value is None:
        return ""
    text = metric(name).text
    inside = f" [{', '.join(map(text, ends))}]" if ends else ""
    return f"{text(value)}{inside}"
