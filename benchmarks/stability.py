"""Do R3GAN and rectified flow train to their end without a hand on them?

    python -m benchmarks.stability [--quick] [--datasets digits ...] [--kinds r3gan flow]
        [--seeds 10 11 12] [--gammas 100] [--data data] [--pictures FOLDER]

Width 8, batches of 12, a learning rate of 1e-3; R3GAN takes 300 steps and flow 400. A fit is
looked at ten times. "collapse" is what petl/generate/collapse.py says of it. The kernel distance is
of mel means and deviations, of 200 samples to test clips, beside that of training clips; diversity
compares samples with test clips too. Seconds are the processor's, of one thread. A picture has
three real clips, then five samples, for each of six conditions. Clips have up to 128 frames.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor

from petl.config import Task
from petl.config.study import study_of
from petl.data.load import load
from petl.generate.base import Generator, Space
from petl.generate.build import build
from petl.generate.collapse import Watch, diversity
from petl.generate.conditions import vectors
from petl.generate.listen.pictures import grid, limits_of, small
from petl.generate.measures.distances import Pairs, bandwidth, kernel_distance
from petl.places import Places

FRAMES = {"digits": 64, "esc10": 128, "made-up-deam": 200}
MOST_FRAMES = 128
DIGITS = {"corpus": "digits", "layout": "folders", "classes": 10, "folds": 5, "split": "k-fold"}
STEPS, BATCH, LOOKS, SAMPLES = {"r3gan": 300, "flow": 400}, 12, 10, 200
Clips = tuple[Tensor, Tensor]
"""Raw spectrograms and their conditions."""


def task(dataset: str, kind: str, gamma: float) -> Task:
    settings = {"width": 8, "gamma": gamma} if kind == "r3gan" else {"width": 8}
    return study_of(
        {
            "matrix": {
                "dataset": dataset,
                "backbone": "ast-small",
                "method": kind,
                "fold": 0,
                "seed": 10,
            },
            "datasets": {"digits": {"dataset": {**DIGITS, "frames": 64, "spec_augment": None}}},
            "set": {
                "dataset": {"frames": FRAMES[dataset]},
                "generator": settings,
                "train": {"batch_size": BATCH, "lr": 1e-3},
            },
        },
        "stability",
    ).tasks[0]


def clips(task: Task, places: Places) -> tuple[Clips, Clips]:
    """Those that train, and those of the test."""
    data = load(task, places)
    targets = vectors(task.dataset, data.targets)
    parts = data.split.train, data.split.test
    train, test = (
        (torch.from_numpy(data.inputs[part][:, :MOST_FRAMES].copy()), targets[part])
        for part in parts
    )
    return train, test


def space(train: Clips) -> Space:
    values, (_, frames, bins) = train[0], train[0].shape
    low, high = float(values.min()), float(values.max())
    return Space(
        frames, bins, train[1].shape[1], float(values.mean()), float(values.std()), low, high
    )


def fitted(task: Task, seed: int, train: Clips, steps: int) -> tuple[Generator, list[str]]:
    """A generator after its steps, and what was said of a collapse."""
    clips, conditions = train
    torch.manual_seed(seed)
    generator = build(task.generator, space(train))
    generator.begin(task.train)
    watch, draws, order, verdicts = Watch(), torch.Generator().manual_seed(seed), [], []
    shown = some(len(clips), 64, seed=1)
    for step in range(1, steps + 1):
        if len(order) < BATCH:
            order = torch.randperm(len(clips), generator=draws).tolist()
        batch, order = order[:BATCH], order[BATCH:]
        told = generator.fit(clips[batch], conditions[batch], draws)
        verdicts.append(watch.step({name: float(value) for name, value in told.items()}))
        if step % (steps // LOOKS) == 0:
            made = generator.sample(conditions[shown], seed=0)
            known = conditions[shown]
            verdicts.append(watch.look(diversity(made, known, clips[shown], known)))
    return generator, [verdict for verdict in verdicts if verdict]


def some(clips: int, number: int, seed: int) -> Tensor:
    return torch.randperm(clips, generator=torch.Generator().manual_seed(seed))[:number]


def distance(made: Tensor, real: Tensor) -> float:
    """The kernel distance on means and deviations of mel bins."""
    made, real = (torch.cat([x.mean(1), x.std(1)], dim=1).double() for x in (made, real))
    pairs = Pairs.of(real.numpy(), made.numpy())
    return kernel_distance(pairs, bandwidth(pairs))


def paint(file: Path, generator: Generator, train: Clips) -> None:
    clips, conditions = train
    shown, rows = some(len(clips), 64, seed=1), []
    for row in range(6):
        wanted = conditions[shown[5 * row]][None]
        near = torch.cdist(conditions, wanted)[:, 0].argsort()[:3]
        rows.append(torch.cat([clips[near], generator.sample(wanted.repeat(5, 1), 7 + row)]))
    cells = [small(row.numpy(), limits_of(clips.numpy())) for row in rows]
    names = [f"condition {row}" for row in range(6)]
    file.write_bytes(grid(cells, names, ["real"] * 3 + ["synthetic"] * 5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="made-up-deam, 10 steps, one seed")
    parser.add_argument("--datasets", nargs="+", choices=FRAMES, default=list(FRAMES))
    parser.add_argument("--kinds", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[10, 11, 12])
    parser.add_argument("--gammas", nargs="+", type=float, default=[100.0], help="of R3GAN")
    parser.add_argument("--data", type=Path, help="with esc10 and digits, a folder for each digit")
    parser.add_argument("--pictures", type=Path)
    asked = parser.parse_args()
    if asked.quick:
        asked.datasets, asked.seeds = ["made-up-deam"], asked.seeds[:1]
    torch.set_num_threads(1)
    places = Places.choose(data=asked.data)
    print("dataset       kind   gamma seed  distance  (real) diversity      s  collapse")
    for dataset in asked.datasets:
        for kind in asked.kinds:
            for gamma in asked.gammas if kind == "r3gan" else [0.0]:
                for seed in asked.seeds:
                    wanted = task(dataset, kind, gamma)
                    row(wanted, seed, places, asked.pictures, 10 if asked.quick else STEPS[kind])


def row(task: Task, seed: int, places: Places, pictures: Path | None, steps: int) -> None:
    train, (test, conditions) = clips(task, places)
    started = time.process_time()
    generator, verdicts = fitted(task, seed, train, steps)
    number = min(SAMPLES, len(test))
    drawn = torch.randint(
        len(train[0]), (number,), generator=torch.Generator().manual_seed(3)
    )  # conditions of training clips
    made = generator.sample(train[1][drawn], seed=1)
    gamma = getattr(task.generator, "gamma", float("nan"))
    floor = distance(train[0][some(len(train[0]), number, seed=2)], test[:number])
    print(
        f"{task.names.dataset:13s} {task.generator.kind:6s} {gamma:5g} {seed:4d}"
        f" {distance(made, test[:number]):9.2f} {floor:7.2f}"
        f" {diversity(made, train[1][drawn], test, conditions):9.2f}"
        f" {time.process_time() - started:6.0f}  {verdicts[0] if verdicts else 'none'}",
        flush=True,
    )
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
        paint(pictures / f"{task.names.dataset}-{task.generator.kind}-{seed}.png", generator, train)


if __name__ == "__main__":
    main()
