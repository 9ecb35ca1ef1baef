"""Commands that train in this process: one task of a study, or the small AST that comes along."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from petl.terminal import (
    INTERRUPTED,
    CacheDir,
    DataDir,
    RunsDir,
    StudyFile,
    asked_to_stop,
    console,
    interruptible,
    leave,
    need,
)

if TYPE_CHECKING:
    from petl.config import Task

GO_ON = "the same command goes on from there"


def train(
    study: StudyFile,
    dataset: Annotated[str | None, typer.Option(help="A name, a pattern or a beginning.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    method: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    fold: Annotated[int | None, typer.Option(help="Which fold is the test set.")] = None,
    seed: Annotated[int | None, typer.Option(help="Which seed.")] = None,
    track: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="tensorboard, wandb; may be repeated.")
    ] = None,
    runs: RunsDir = None,
    data: DataDir = None,
    cache: CacheDir = None,
) -> None:
    """Train one of the study's tasks in this process. Whatever decides between tasks is an option.

    Ctrl-C leaves the run in a checkpoint, and the same command goes on from there.

    \b
    Example:
      petl train experiments/quickstart.yaml --method conformer --fold 0
    """
    need("torch", "train")
    from petl.config.options import Options, tracked
    from petl.config.selection import one_task
    from petl.config.study import load_study
    from petl.data.ready import prepare_all
    from petl.places import Places
    from petl.runs.directory import RunDir

    wanted = {"dataset": dataset, "backbone": backbone, "method": method}
    task = one_task(load_study(study).tasks, study, **wanted, fold=fold, seed=seed)
    places = Places.choose(runs, data, cache)
    screen = console()
    done = RunDir.of(task, places.runs).result() is not None
    screen.print(f"{task} · run {task.run_id}{', done already' * done}", soft_wrap=True)
    with interruptible(GO_ON):
        prepare_all([task], places)
        from petl.train.run import Interrupted, run_task

        with asked_to_stop() as stop:
            try:
                result = run_task(
                    task,
                    places,
                    Options(track=tuple(track or tracked())),
                    on_epoch=lambda row: screen.print(_epoch(row, task)),
                    stop=stop,
                )
            except Interrupted:
                leave(f"stopped; {GO_ON}", INTERRUPTED)
    primary = _primary(task)
    last, best = (result["metrics"][name][primary] for name in ("test_last", "test_best"))
    screen.print(
        f"test {_score(last, primary)} after the last epoch, "
        f"{_score(best, primary)} after {result['best_epoch']}"
    )


def _primary(task: Task) -> str:
    return "accuracy" if task.dataset.classes else "ccc"


def _score(value: float, name: str) -> str:
    return f"{value:.1%}" if name == "accuracy" else f"{name.upper()} {value:.3f}"


def _epoch(row: dict[str, Any], task: Task) -> str:
    primary = _primary(task)
    return (
        f"epoch {row['epoch']:3} of {task.train.epochs}   loss {row['train_loss']:.4f}"
        f"   validation {_score(row[f'val_{primary}'], primary):>6}   {row['seconds']:.1f} s"
    )


def pretrain(
    settings: Annotated[
        Path | None, typer.Argument(metavar="SETTINGS", help="YAML [those of builtin:small].")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the checkpoint goes.")] = Path(
        "pretrained"
    ),
) -> None:
    """Pre-train a small AST on made sounds; the same settings give the same file on the same stack.

    \b
    Example:
      petl pretrain --out pretrained
      sha256sum pretrained/model.safetensors petl/backbones/small/model.safetensors
    """
    need("torch", "train")
    with interruptible("nothing was written; the same command starts anew"):
        from petl.train.pretrain import SMALL, pretrain_checkpoint

        weights = pretrain_checkpoint(settings or SMALL / "pretrain.yaml", out, console().print)
    console().print(f"{weights}: a backbone for `source: {out}`", soft_wrap=True)
