"""A linear probe with and without `train.frozen: cached`: the speed-up against the epochs.

Each run is a whole process, imports included; the spectrograms are in the cache before. The first
run computes the frozen part; the next one, another seed, finds it there. Processor seconds are less
noisy than the clock on a machine that others use too.

python -m benchmarks.frozen [--corpus DIR] [--backbone SOURCE] [--full] [--epochs 1 5 20]
                            [--figure FILE.png] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.full_size import FULL, QUICK, library_model, machine
from petl.config import Task
from petl.config.study import expand
from petl.data.ready import prepare_all
from petl.data.synthetic.quickstart import make_corpus
from petl.places import Places

RUN = """
import json, sys
from petl import train
from petl.config import Task
task, runs, data, cache = sys.argv[1:]
result = train(Task.model_validate_json(task), runs=runs, data=data, cache=cache)
print(json.dumps(result["metrics"]))
"""
KINDS = ("recompute", "first", "next")


class Cost(NamedTuple):
    clock: float
    processor: float
    metrics: Mapping[str, Mapping[str, float]]


def task_of(arguments: argparse.Namespace, source: Path | str, epochs: int) -> Task:
    matrix = {"dataset": "sounds", "backbone": "probed", "method": "linear-probe"}
    dataset: dict[str, Any] = {"corpus": "sounds", "frames": arguments.frames}
    dataset["statistics"] = {"mean": -4.268, "std": 4.569}
    study = {
        "matrix": {**matrix, "fold": 0, "seed": 0},
        "datasets": {"sounds": {"like": "esc10", "dataset": dataset}},
        "backbones": {"probed": {"like": "ast", "backbone": {"source": str(source)}}},
        "set": {"train": {"epochs": epochs}},
    }
    return expand(study, "frozen")[0]


def cost(task: Task, places: Places) -> Cost:
    folders = map(str, (places.runs, places.data, places.cache))
    command = [sys.executable, "-c", RUN, json.dumps(task.to_json()), *folders]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    clock = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(clock, processor, json.loads(out))


def three(task: Task, places: Places) -> dict[str, Cost]:
    """Recomputed, with the cache empty, and with another seed."""
    for file in (places.cache / "frozen").glob("*.npy"):
        file.unlink()
    train = task.train.model_copy(update={"frozen": "recompute"})
    tasks = [task.model_copy(update={"train": train}), task, task.model_copy(update={"seed": 1})]
    return {kind: cost(one, places) for kind, one in zip(KINDS, tasks, strict=True)}


def difference(costs: Mapping[str, Cost]) -> float:
    ours, theirs = (costs[kind].metrics for kind in ("first", "recompute"))
    return max(
        abs(ours[part][name] - value) for part in theirs for name, value in theirs[part].items()
    )


def curve(rows: Mapping[int, Mapping[str, Cost]], title: str, file: Path) -> None:
    from petl.picture import ONE_COLUMN, PANEL_HEIGHT, STYLE, dress, line_look, mpl, sheet

    with mpl.rc_context(STYLE):
        figure = sheet(ONE_COLUMN, PANEL_HEIGHT)
        axis = figure.subplots()
        for i, (kind, name) in enumerate((("next", "next runs"), ("first", "first run"))):
            speedups = [row["recompute"].processor / row[kind].processor for row in rows.values()]
            axis.plot(list(rows), speedups, label=name, **line_look(i))
        dress(axis)
        axis.set(xlabel="epochs", ylabel="times faster (processor time)", ylim=(0, None))
        axis.set_xticks(list(rows))
        axis.set_title(title, size=8)
        axis.legend(frameon=False)
        figure.savefig(file, metadata={"Software": "petl-ast"})


def full_size(folder: Path, size: Any) -> Path:
    library_model(size).save_pretrained(folder, safe_serialization=True)
    return folder


def main(arguments: argparse.Namespace) -> None:
    print(f"{machine()}; {len(os.sched_getaffinity(0))} cores")
    with TemporaryDirectory() as temporary:
        root = Path(temporary)
        places = Places(root / "runs", root / "data", root / "cache")
        if arguments.corpus:
            places.data.mkdir()
            (places.data / "sounds").symlink_to(arguments.corpus.resolve())
        else:
            make_corpus(places.data / "sounds", takes=1)
        source: Path | str = arguments.backbone
        if arguments.full or arguments.quick:
            source = full_size(root / "full", QUICK if arguments.quick else FULL)
        tasks = {epochs: task_of(arguments, source, epochs) for epochs in arguments.epochs}
        prepare_all(list(tasks.values()), places)
        print(f"{'':8s}{'recompute':>18s}{'first run':>18s}{'next runs':>18s}   times faster")
        print(f"{'epochs':8s}{'clock s  proc. s':>18s}" + 2 * f"{'clock s  proc. s':>18s}")
        rows = {}
        for epochs, task in tasks.items():
            rows[epochs] = costs = three(task, places)
            cells = "".join(f"{c.clock:9.1f}{c.processor:9.1f}" for c in costs.values())
            print(f"{epochs:<8d}{cells}   {_ratios(costs)}", flush=True)
        print(f"largest difference in a metric: {max(map(difference, rows.values())):.1e}")
        if arguments.figure:
            curve(rows, arguments.title, arguments.figure)


def _ratios(costs: Mapping[str, Cost]) -> str:
    """By the clock and by the processor."""
    base = costs["recompute"]
    pairs = [(base.clock / c.clock, base.processor / c.processor) for c in list(costs.values())[1:]]
    return "  ".join(f"{clock:.1f} / {processor:.1f}" for clock, processor in pairs)


def parsed(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, help="a folder in ESC-50's layout, of 10 classes")
    parser.add_argument("--backbone", default="builtin:small", help="a checkpoint of an AST")
    parser.add_argument("--full", action="store_true", help="a full-size AST of random weights")
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--title", default="Linear probe")
    parser.add_argument("--quick", action="store_true", help="a tiny backbone, one epoch")
    arguments = parser.parse_args(given)
    if arguments.quick:
        arguments.epochs, arguments.frames = [1], 100
    return arguments


if __name__ == "__main__":
    main(parsed())
