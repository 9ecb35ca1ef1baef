"""Synthetic runs: run directories as training leaves them, from chosen accuracies, not trained.

For tests, notebooks and benchmarks. Every result has `"synthetic": true`, every log says so in its
first line, and so does a file in the study's folder. `analysis` labels everything made of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random
from typing import Any, cast

import petl
from petl.config import Task
from petl.config.kinds import NO_LABELS, NUMBERS, ONE_LABEL, SEVERAL_LABELS, SPECTROGRAMS, metric
from petl.config.study import Study
from petl.config.yamlfile import read_yaml
from petl.errors import UserError, nearest
from petl.files import json_lines, staging
from petl.runs import synthetic_classes as classes
from petl.runs import synthetic_numbers as numbers
from petl.runs import synthetic_spectrograms as spectrograms
from petl.runs.directory import Runs
from petl.runs.result import Environment, Params, Result, Scores, new_result

LABEL = "SYNTHETIC.txt"
NOTE = (
    "The runs in this folder were made up by `petl fabricate`: nothing was trained, and no number "
    "in them was measured.\n"
)
AST, WIDTH, LAYERS = 86_000_000, 768, 12
HELPS = {"full": 0.03, "linear": -0.12, "bitfit": -0.03}
"""By how much the accuracy of a family differs from the others, roughly as published."""

Accuracy = Callable[[Task], float]
"""Gives the true accuracy of a task's method on its dataset; mAP or CCC of other kinds of task."""


def fabricate(
    study: Study,
    runs: Path,
    accuracy: Accuracy | None = None,
    *,
    spread: float = 0.015,
    seed: int = 0,
    share: float = 1.0,
    tell: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> int:
    """Make a share of the study's runs, finished, and return how many were made.

    Runs that exist stay. The same seed makes the same runs, whatever the share.
    """
    accuracy = accuracy or plausible(seed)
    folder = runs / study.name
    there = _made_up_so_far(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LABEL).write_text(NOTE)
    made = 0
    for done, task in enumerate(study.tasks, 1):
        run_id = task.run_id
        left_out = Random(f"{seed} {run_id} share").random() >= share
        if run_id not in there and not left_out:
            there.add(run_id)
            _write(folder / run_id, files(task, accuracy(task), spread, seed))
            made += 1
        tell("making runs", done, len(study.tasks))
    return made


def _made_up_so_far(folder: Path) -> set[str]:
    """Their ids. Refuses a folder with real runs: the two would be hard to tell apart later."""
    view = Runs(folder)
    there = set(view)
    for run_id in there:
        result = view.result(run_id)
        if result is None or not result.get("synthetic"):
            raise UserError(
                f"{folder}: run {run_id} was not made by petl fabricate; "
                "made-up runs go into a folder of their own"
            )
    return there


def plausible(seed: int) -> Accuracy:
    """Methods differ by a few percent, by the same amount in every fold."""

    def accuracy(task: Task) -> float:
        names = task.names
        on_dataset = Random(f"{seed} {names.dataset} {names.backbone}").uniform(0.65, 0.92)
        of_method = Random(f"{seed} {names.dataset} {names.backbone} {names.method}").gauss(0, 0.02)
        return min(0.99, on_dataset + of_method + HELPS.get(task.method.family, 0.0))

    return accuracy


def read_accuracies(path: Path, tasks: Sequence[Task]) -> Accuracy:
    """`esc50: {lora: 0.84, "conformer-*": 0.86}` or `"*": 0.7`; the first match counts."""
    source = read_yaml(path)

    def pick(table: Any, names: Sequence[str], key: tuple[str, ...] = ()) -> float:
        if isinstance(table, Mapping) and names:
            for pattern, below in table.items():
                if fnmatchcase(names[0], str(pattern)):
                    return pick(below, names[1:], (*key, pattern))
            near = nearest(names[0], map(str, table))
            raise UserError(f"{source.where(key)}: no accuracy for '{names[0]}'{near}")
        if isinstance(table, bool) or not isinstance(table, int | float) or not 0 <= table <= 1:
            raise UserError(f"{source.where(key)}: an accuracy is between 0 and 1, not {table!r}")
        return float(table)

    named = dict.fromkeys((task.names.dataset, task.names.method) for task in tasks)
    chosen = {names: pick(source.data, names) for names in named}
    return lambda task: chosen[task.names.dataset, task.names.method]


# --- one run --------------------------------------------------------------------------------------


def files(task: Task, true: float, spread: float, seed: int) -> dict[str, bytes]:
    """The files of the run's directory, by name."""
    random = Random(f"{seed} {task.run_id}")
    test = min(1.0, max(0.0, random.gauss(true, spread)))
    rows = _history(task, test, random)
    result = _result(task, test, rows, random)
    log = [f"SYNTHETIC: {task}  (run {task.run_id}); nothing was trained"]
    log += ["  ".join(f"{k} {v:.6g}" for k, v in row.items()) for row in rows]
    log += [f"done: {result['metrics']}", ""]
    kept = numbers.predictions(task, result) if task.kind is NUMBERS else None
    return {
        **({"predictions.json": kept} if kept else {}),
        "task.json": (json.dumps(task.to_json(), indent=1) + "\n").encode(),
        "metrics.jsonl": json_lines(rows),
        "log.txt": "\n".join(log).encode(),
        "result.json": (json.dumps(result) + "\n").encode(),
    }


def _write(folder: Path, content: Mapping[str, bytes]) -> None:
    """Whole or not at all. Not flushed to the disk, because it can be made again."""
    with staging(folder) as aside:
        for name, data in content.items():
            (aside / name).write_bytes(data)
        aside.rename(folder)


def _history(task: Task, end: float, random: Random) -> list[dict[str, Any]]:
    """The validation score rises to about the test score, along a curve that flattens."""
    if task.kind is SPECTROGRAMS:
        return spectrograms.history(task, end, random)
    epochs, chance = task.train.epochs, 1 / max(2, task.dataset.outputs)
    pace = random.uniform(3, 6) / epochs
    seconds = random.uniform(8, 40)
    rows = []
    for epoch in range(1, epochs + 1):
        learned = (1 - math.exp(-pace * epoch)) / (1 - math.exp(-pace * epochs))
        score = chance + (end - chance) * learned + random.gauss(0, 0.01)
        lr = task.train.lr * (1 + math.cos(math.pi * (epoch - 1) / epochs)) / 2
        row = {"epoch": epoch, "train_loss": classes.loss(score + 0.03 * learned)}
        row |= {f"val_{k}": v for k, v in _scores(task, min(1.0, max(0.0, score)), random).items()}
        rows.append({**row, "lr": lr, "seconds": seconds * random.uniform(0.97, 1.05)})
    return rows


def _result(task: Task, test: float, rows: Sequence[Mapping[str, Any]], random: Random) -> Result:
    kind = task.kind
    rank, primary = metric(task.best_by).rank, f"val_{task.best_by}"
    seconds = sum(row["seconds"] for row in rows)
    after = {"test_last": test, "test_best": min(1.0, max(0.0, test + random.gauss(0, 0.004)))}
    floors = numbers.floors(task) if kind is NUMBERS else None
    if kind is SPECTROGRAMS:  # measured once, in the end
        after["test_best"], floors = test, spectrograms.floors()
        rows = [{**rows[-1], **{f"val_{k}": v for k, v in spectrograms.scores(test).items()}}]
    best = max(rows, key=lambda row: rank(row[primary]))  # the first of equals
    confusion: dict[str, classes.Confusion | None] = dict.fromkeys(after)
    if kind is ONE_LABEL:
        of_each = classes.clips(task)
        matrices = {
            name: classes.confusion(of_each, score, random) for name, score in after.items()
        }
        confusion |= matrices
        last, after_best = map(classes.scores, matrices.values())
    else:
        last, after_best = (_scores(task, score, random) for score in after.values())
    validated = {name[4:]: value for name, value in best.items() if name.startswith("val_")}
    return new_result(
        task,
        synthetic=True,
        classes=[f"class {i}" for i in range(task.dataset.classes or 0)],
        statistics=None,
        params=_params(task),
        metrics={"test_last": last, "test_best": after_best, "val_best": validated},
        floors=floors,
        intervals=spectrograms.intervals(test) if kind is SPECTROGRAMS else None,
        confusion=confusion,
        per_class={name: classes.per_class(task, score, random) for name, score in after.items()},
        best_epoch=best["epoch"],
        epochs=rows[-1]["epoch"],
        timing={
            "seconds": seconds + 20,
            "data_seconds": 12.0,
            "tries": 1,
        },
        peak_memory_mb=random.uniform(4000, 9000),
        environment=_environment(),
    )


def _environment() -> Environment:
    names = ("git_commit", "lock_hash", "image", "python", "torch", "cuda", "gpu", "host")
    made_up = cast(Environment, dict.fromkeys(names, "synthetic"))
    return {"petl": petl.__version__, **made_up, "threads": 1, "slurm_job_id": None}


def _scores(task: Task, score: float, random: Random) -> Scores:
    """The other metrics follow from the score."""
    if task.kind is SPECTROGRAMS:
        return spectrograms.scores(score)
    if task.kind is NO_LABELS:
        return {NO_LABELS.headline: classes.loss(score)}
    if task.kind is SEVERAL_LABELS:
        other = {"auc": (1 + math.sqrt(score)) / 2, "classes_without_clips": 0.0}
        return {"map": score, **other, "loss": 0.3 * (1 - score)}
    if task.dataset.classes:
        others = dict.fromkeys(("balanced_accuracy", "precision", "recall", "f1"), score)
        return {"accuracy": score, **others, "loss": classes.loss(score)}
    return numbers.scores(task, score)


def _params(task: Task) -> Params:
    """Estimated from the method's size if it has one, else drawn by its name; not counted."""
    known = {"full": AST, "linear": 1_536, "bitfit": 102_144}
    drawn = round(10 ** Random(f"{task.names.method} params").uniform(5.0, 5.7))
    family = task.method.family if task.generator is None else ""
    without_head = known.get(family) or _roughly(task.method) or drawn
    trainable = without_head + 769 * task.dataset.outputs
    total = AST + trainable if family and family != "full" else trainable
    return {
        "trainable": trainable,
        "trainable_without_head": without_head,
        "total": total,
    }


def _roughly(method: Any) -> int | None:
    """The weights in all layers of a bottleneck's two maps, or of the prompts."""
    if reduction := getattr(getattr(method, "block", method), "reduction", None):
        places = getattr(method, "placement", None) or getattr(method, "targets", ["one"])
        named = {"pfeiffer": 1, "houlsby": 2}
        many = named[places] if isinstance(places, str) else len(places)
        adapters: int = LAYERS * many * 2 * WIDTH * (WIDTH // reduction)
        return adapters
    if length := getattr(method, "length", None):
        prompts: int = WIDTH * length * (1 if getattr(method, "depth", "") == "shallow" else LAYERS)
        return prompts
    return None
