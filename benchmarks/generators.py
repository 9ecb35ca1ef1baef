"""Time and memory of the generators: of a fit, and of samples as multiples of real time.

    python -m benchmarks.generators [--quick] [--frames 500] [--widths 8 32] [--kinds gan ...]

The clips are random numbers of ESC-10's shape and number (320 train in a fold), since neither time
nor memory depends on what is in a clip. "saved" is the most that a step keeps for its backward
passes at any one time, parameters left out: measured for batches of 1 and 2, and as each clip adds
as many bytes, that of 24 is computed from them. "peak" is of a process that does this alone, with
the libraries' own 0.3 GB. Seconds are the processor's, of one thread, so that other load changes
them little; the fastest step counts, and an epoch is 14 of them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable

import torch

from benchmarks.full_size import machine
from benchmarks.saved import most_saved
from petl.config.study import study_of
from petl.generate.base import Generator, Space
from petl.generate.build import KINDS, build

CLIPS, BATCH, SECONDS, CLASSES = 320, 24, 5.0, 10
SPACE = {"bins": 128, "conditions": CLASSES, "mean": 0.0, "deviation": 1.0, "low": -4, "high": 4}


def ready(kind: str, width: int, frames: int) -> Generator:
    """A new generator that can be fitted."""
    matrix = {"dataset": "esc10", "backbone": "ast-small", "method": kind, "fold": 1, "seed": 0}
    settings = {"generator": {"width": width}, "dataset": {"spec_augment": None}}
    task = study_of({"matrix": matrix, "set": settings}, "benchmark").tasks[0]
    torch.manual_seed(0)
    generator = build(task.generator, Space(frames, **SPACE))
    generator.begin(task.train)
    return generator.train()


def step(generator: Generator, clips: int = BATCH) -> None:
    """One step on random clips."""
    space, draws = generator.space, torch.Generator().manual_seed(1)
    values = torch.rand(clips, space.frames, space.bins, generator=draws)
    conditions = torch.eye(space.conditions)[torch.arange(clips) % space.conditions]
    generator.fit(space.low + (space.high - space.low) * values, conditions, draws)


def saved(generator: Generator, clips: int = BATCH) -> int:
    """Bytes that a step of so many clips keeps."""
    parameters = list(generator.networks.parameters())
    one, two = (most_saved(lambda n=n: step(generator, n), parameters) for n in (1, 2))
    return one + (clips - 1) * (two - one)


def fastest(work: Callable[[], object], rounds: int) -> float:
    torch.set_num_threads(1)

    def once() -> float:
        started = time.process_time()
        work()
        return time.process_time() - started

    return min(once() for _ in range(rounds))


def peak() -> float:
    """GB of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def fit(kind: str, width: int, frames: int, rounds: int) -> tuple[float, float, float]:
    """Millions of parameters, seconds of a step, and GB."""
    generator = ready(kind, width, frames)
    seconds = fastest(lambda: step(generator), rounds)
    return sum(p.numel() for p in generator.networks.parameters()) / 1e6, seconds, peak()


def sample(kind: str, width: int, frames: int, samples: int) -> tuple[float, float]:
    """Seconds, and GB."""
    generator = ready(kind, width, frames)
    conditions = torch.eye(CLASSES)[torch.arange(samples) % CLASSES]
    return fastest(lambda: generator.sample(conditions, seed=0), 1), peak()


def kept(kind: str, width: int, frames: int) -> float:
    return saved(ready(kind, width, frames)) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="64 frames, width 4, 8 samples")
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--widths", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--kinds", choices=KINDS, nargs="+", default=list(KINDS))
    parser.add_argument("--rounds", type=int, default=3, help="steps, of which the fastest counts")
    parser.add_argument("--samples", type=int, default=1000)
    asked = parser.parse_args()
    if asked.quick:
        asked.frames, asked.widths, asked.rounds, asked.samples = 64, [4], 1, 8
    seconds = SECONDS * asked.frames / 500
    steps = -(-CLIPS // BATCH)
    torch.set_num_threads(1)
    print(machine())
    print(f"{asked.frames} frames, batch {BATCH}; {asked.samples} samples of {seconds:g} s")
    print(f"{'':17s}       fit {'':36s}samples")
    print(
        f"{'':10s} {'width':>6s} {'M par.':>7s} {'saved GB':>9s} {'step s':>7s} {'epoch s':>8s}"
        f" {'peak GB':>8s} {'s':>8s} {'x real':>7s} {'peak GB':>8s}"
    )
    new = multiprocessing.get_context("fork")
    for kind in asked.kinds:
        for width in asked.widths:
            shape = kind, width, asked.frames
            with new.Pool(1, maxtasksperchild=1) as alone:  # so that each peak is its own
                gigabytes = alone.apply(kept, shape)
                parameters, a_step, of_fit = alone.apply(fit, (*shape, asked.rounds))
                taken, of_samples = alone.apply(sample, (*shape, asked.samples))
            print(
                f"{kind:10s} {width:6d} {parameters:7.2f} {gigabytes:9.3f} {a_step:7.2f}"
                f" {steps * a_step:8.1f} {of_fit:8.2f} {taken:8.3f}"
                f" {asked.samples * seconds / taken:7.0f} {of_samples:8.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
