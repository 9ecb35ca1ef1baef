"""The page's sections but for the figures: each a function from a report to its markup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from analysis.cells import KEY, Table
from analysis.html.element import Html, el, join, scrolling, table
from analysis.html.report import Report
from analysis.markup import fragment
from petl.config import Task

STATES = ("done", "running", "failed", "broken", "stopped", "waiting")
TROUBLES = ("failed", "broken", "stopped", "running", "waiting")
"""What a reader wants to know of first."""
MOST_MISSING = 300
"""So many are listed; beyond it the reader has a command, and each cell has its own."""
OPEN = 12
"""A list that is longer is closed at first."""


# --- how far it is --------------------------------------------------------------------------------


def progress(report: Report) -> Html:
    counts = report.frame["state"].value_counts()
    there = [(state, int(counts[state])) for state in STATES if state in counts]
    bar = (el("i", class_=state, style=f"flex-grow:{number}") for state, number in there)
    said = ", ".join(f"{number} {state}" for state, number in there)
    legend = (
        el("li", el("i", class_=state), " ", el("b", number), f" {state}")
        for state, number in there
    )
    return join(
        [
            el("div", *bar, class_="bar", role="img", aria_label=said),
            el("ul", *legend, class_="legend"),
            _missing(report),
        ]
    )


def _missing(report: Report) -> Html | None:
    frame = report.frame
    missing = frame[frame["state"] != "done"]
    if missing.empty:
        return el("p", "No run is missing.")
    order = missing["state"].map({state: i for i, state in enumerate(TROUBLES)})
    listed = missing.iloc[order.argsort(kind="stable")[:MOST_MISSING]]
    tasks = {task.run_id: task for task in report.study.tasks}
    rows = [_missing_row(run, tasks.get(run["run_id"]), report) for _, run in listed.iterrows()]
    heads = ("Run", "State", "Why", "Run id", "Command")
    some = f"The first {len(listed)} of {len(missing)}" if len(listed) < len(missing) else "All"
    more = el("p", "All of them: ", el("code", f"petl ls {report.file} | grep -v done"))
    names = el(
        "details",
        el("summary", f"{some} missing runs by name" if len(missing) > 1 else "The missing run"),
        table(heads, rows, class_="missing"),
        more if len(listed) < len(missing) else None,
        open=len(missing) <= OPEN,
    )
    run_them = [f"petl submit {report.file}"]
    if (missing["state"] == "failed").any():
        run_them.append(f"petl retry {report.file}     # on a cluster, those that failed")
    return join([el("p", "What is missing runs with"), commands(run_them), names])


def _missing_row(run: pd.Series, task: Task | None, report: Report) -> list[Any]:
    name = f"{run['dataset_label']} · {run['method_label']} · fold {run['fold']}"
    alone = el("code", _alone(task, report.file)) if task else ""
    return [
        f"{name} · seed {run['seed']}",
        el("span", run["state"], class_=f"state {run['state']}"),
        run["reason"] or "",
        el("code", run["run_id"]),
        alone,
    ]


def _alone(task: Task, file: str) -> str:
    names = task.names
    who = f"--dataset {names.dataset} --backbone {names.backbone} --method {names.method}"
    return f"petl train {file} {who} --fold {task.fold} --seed {task.seed}"


# --- what came out --------------------------------------------------------------------------------


def tables(report: Report) -> Html:
    """The one the study reports, and the others to be opened."""
    if not report.tables:
        return el("p", "No run has finished yet.")
    main, *others = report.tables
    marks = el(
        "p",
        el("span", "best", class_="best"),
        " and ",
        el("span", "second best", class_="second"),
        f" of a column. {_per_cell(main.table)}; fewer say so. ",
        el("span", "A number opens the runs it is made of; a head sorts.", class_="scripted"),
        class_="marks",
    )
    return join(
        [
            Html(fragment(main.table, main.extras)),
            marks,
            *(
                el(
                    "details",
                    el("summary", other.table.measure.in_words),
                    Html(fragment(other.table, other.extras)),
                )
                for other in others
            ),
        ]
    )


def _per_cell(shown: Table) -> str:
    """`5 runs in each cell`, or by dataset."""
    found = {
        dataset.label: max(row.cells[j].expected for row in shown.rows)
        for j, dataset in enumerate(shown.datasets)
    }
    if len(set(found.values())) == 1:
        return f"Runs in each cell: {next(iter(found.values()))}"
    return f"Runs in each cell: {', '.join(f'{label} {n}' for label, n in found.items())}"


def costs(report: Report) -> Html:
    """Of finished runs: those under way and those that failed have not told theirs."""
    done = report.done
    if done.empty:
        return el("p", "No run has finished yet.")
    gpu = bool(done["gpu_hours"].sum())
    heads = ("Method", "Runs", "A run takes", "Hours", "GPU hours" if gpu else "Processor hours")
    labels = _labels(done)
    rows = [
        _cost(label, runs, gpu) for label, runs in done.groupby(labels, sort=False, dropna=False)
    ]
    total = _cost("Together", done, gpu)
    body = table((*heads, "Peak memory"), [*rows, total], class_="sortable totals")
    how = "time on a GPU" if gpu else "the time of each thread"
    note = f"Measured by the finished runs themselves; {heads[-1]}: {how}."
    return join([body, el("p", note, class_="note")])


def _labels(done: pd.DataFrame) -> pd.Series:
    several = done["backbone"].nunique() > 1
    return done["method_label"] + (" (" + done["backbone"] + ")" if several else "")


def _cost(label: Any, runs: pd.DataFrame, gpu: bool) -> list[Any]:
    seconds = runs["timing.seconds"]
    hours = seconds.sum() / 3600
    threads = runs.get("environment.threads", 1)
    of_all = runs["gpu_hours"].sum() if gpu else (seconds * threads).sum() / 3600
    peak = runs["peak_memory_mb"].max()
    return [
        label,
        _number(len(runs), str(len(runs))),
        _number(seconds.mean(), duration(seconds.mean())),
        _number(hours, f"{hours:.3g}"),
        _number(of_all, f"{of_all:.3g}"),
        _number(peak, f"{peak / 1024:.1f} GB" if peak >= 1024 else f"{peak:.0f} MB"),
    ]


def _number(value: float, text: str) -> Html:
    """Sorted by what it is, not by what it looks like."""
    there = value == value
    return el("td", text if there else "", data_value=f"{value:.10g}" if there else None)


def duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


# --- where it came from ---------------------------------------------------------------------------

FACTS = {
    "git_commit": "Commit",
    "petl": "petl-ast",
    "lock_hash": "Lock",
    "image": "Image",
    "python": "Python",
    "torch": "torch",
    "cuda": "CUDA",
    "gpu": "GPU",
}


def environments(report: Report) -> Html:
    """What the runs came from, each combination with its hosts; the most frequent first."""
    done = report.done
    if done.empty:
        return el("p", "No run has finished yet.")
    known = [name for name in FACTS if f"environment.{name}" in done]
    said = done[[f"environment.{name}" for name in known]].astype(object)
    said = said.where(said.notna(), "")
    cards = []
    for _, numbers in sorted(
        said.groupby(list(said), sort=False).indices.items(), key=lambda pair: -len(pair[1])
    ):
        runs = done.iloc[numbers]
        first = said.iloc[numbers[0]]
        facts = [(FACTS[name], first[f"environment.{name}"]) for name in known]
        facts.append((*_hosts(runs),))
        cards.append(_card(f"{len(runs)} of {len(done)} finished runs", facts))
    return el("div", *cards, class_="cards")


def _hosts(runs: pd.DataFrame) -> tuple[str, str]:
    if "environment.host" not in runs:
        return "Host", ""
    hosts = sorted(map(str, runs["environment.host"].dropna().unique()))
    more = f" and {len(hosts) - 8} more" if len(hosts) > 8 else ""
    return ("Host" if len(hosts) == 1 else f"{len(hosts)} hosts"), ", ".join(hosts[:8]) + more


def _card(title: str, facts: Sequence[tuple[str, Any]]) -> Html:
    rows = (el("dt", name) + el("dd", value or "not recorded") for name, value in facts)
    return el("section", el("h3", title), el("dl", *map(Html, rows), class_="facts"), class_="card")


def reproduce(report: Report) -> Html:
    if report.synthetic:
        made_up = "The numbers are made up: petl fabricate wrote them, and nothing was trained."
        return el("p", made_up)
    commits = report.done["environment.git_commit"].dropna().unique()
    lines = []
    if len(commits) == 1 and not str(commits[0]).endswith("-dirty"):
        lines.append(f"git checkout {commits[0]}")
    lines += ["make setup", ". .venv/bin/activate"]
    lines += [f"petl {command} {report.file}" for command in ("submit", "table", "report")]
    where = el(
        "p", "In a checkout of petl-ast:" if lines[0] != "make setup" else _no_commit(commits)
    )
    return join([where, commands(lines)])


def _no_commit(commits: Sequence[Any]) -> str:
    why = "several commits" if len(commits) > 1 else "code that no commit holds"
    return (
        f"The runs come from {why if len(commits) else 'code of an unknown commit'}. With today's:"
    )


def commands(lines: Sequence[str]) -> Html:
    return el("pre", el("code", "\n".join(lines)))


# --- what was asked for ---------------------------------------------------------------------------

SETTING = ("dataset.", "backbone.", "method.", "train.")


def settings(report: Report) -> Html:
    """The study's own lines, and what they and the presets came to."""
    frame = report.frame.drop_duplicates(KEY)
    names = [name for name in frame if name.startswith(SETTING) and frame[name].notna().any()]
    texts = frame[names].astype(object).map(_setting)
    differ = [name for name in names if texts[name].nunique() > 1]
    shared = [(name, texts[name].iloc[0]) for name in names if name not in differ]
    parts = [
        el("details", el("summary", "The study's file"), commands([_source(report)])),
        el("details", el("summary", f"{len(shared)} settings that all runs share"), _pairs(shared)),
    ]
    if differ:
        who = frame["dataset_label"] + " · " + frame["method_label"] + " · " + frame["backbone"]
        rows = ([name, *texts.loc[i, differ]] for i, name in who.items())
        summary = el("summary", f"{len(differ)} settings that differ")
        parts.append(el("details", summary, table(("", *differ), rows, class_="settings")))
    return join(parts)


def _pairs(pairs: Sequence[tuple[str, str]]) -> Html:
    rows: Iterator[Html] = (join([el("dt", name), el("dd", value)]) for name, value in pairs)
    return scrolling(el("dl", *rows, class_="facts"))


def _setting(value: Any) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value)


def _source(report: Report) -> str:
    try:
        return report.study.path.read_text(errors="replace").rstrip()
    except OSError as error:
        return f"{report.study.path.name}: {error.strerror}"
