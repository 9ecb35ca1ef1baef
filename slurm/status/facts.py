"""What `--json` prints: a line for each run, or one for each study."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean
from typing import Any

from slurm.status.plan import Item, Means, Plan, count


def of_run(item: Item) -> dict[str, Any]:
    task = item.task
    return {
        "run_id": task.run_id,
        **task.names.model_dump(exclude={"dataset_label", "method_label"}),
        "fold": task.fold,
        "seed": task.seed,
        "state": item.kind,
        "reason": item.state.reason,
        "cause": item.state.cause,
        "epoch": item.state.epoch if item.kind != "done" else task.train.epochs,
        "epochs": task.train.epochs,
        "metric": f"{item.report}.{task.kind.headline}",
        "value": item.score,
        "seconds": item.seconds,
        "folder": str(item.run.path),
    }


def of_study(plan: Plan) -> dict[str, Any]:
    means = Means(plan.items)
    return {
        "study": plan.study.name,
        "file": str(plan.study.path),
        **_counts(plan.items, means),
        "trouble": plan.trouble or None,
        "groups": [
            {**group._asdict(), **_counts(items, means), **_mean(items)}
            for group, items in plan.groups().items()
        ],
    }


def lines(facts: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield from (json.dumps(one, ensure_ascii=False) for one in facts)


def _counts(items: Sequence[Item], means: Means) -> dict[str, Any]:
    """`seconds_left`: of all runs one after the other; None if some have an unknown length."""
    left, states = means.left(items), count(items)
    return {
        "runs": len(items),
        "states": dict(sorted(Counter[str](states).items())),
        "seconds_left": None if left.unknown else sum(left.seconds),
    }


def _mean(items: Sequence[Item]) -> dict[str, Any]:
    known = [item.score for item in items if item.score is not None]
    metric = f"{items[0].report}.{items[0].task.kind.headline}"
    return {"metric": metric, "mean": fmean(known) if known else None}
