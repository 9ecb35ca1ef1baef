"""Commands that train in this process: one task of a study, or the small AST of this package."""

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

NAME = "A name, the beginning of one, or a pattern."
RESUME = "run the same command again to continue"


def train(
    study: StudyFile,
    dataset: Annotated[str | None, typer.Option(help=NAME)] = None,
    backbone: Annotated[str | None, typer.Option(help=NAME)] = None,
    method: Annotated[str | None, typer.Option(help=NAME)] = None,
    fold: Annotated[int | None, typer.Option(help="The fold to test on.")] = None,
    seed: Annotated[int | None, typer.Option(help="The seed.")] = None,
    track: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="tensorboard or wandb; can be repeated [PETL_TRACK]."),
    ] = None,
    runs: RunsDir = None,
    data: DataDir = None,
    cache: CacheDir = None,
) -> None:
    """Train one task of a study in this process. The options choose the task.

    Ctrl-C saves a checkpoint. Run the same command again to continue from it.

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

    names = {"dataset": dataset, "backbone": backbone, "method": method}
    task = one_task(load_study(study).tasks, study, **names, fold=fold, seed=seed)
    places = Places.choose(runs, data, cache)
    screen = console()
    done = RunDir.of(task, places.runs).result() is not None
    screen.print(f"{task} · run {task.run_id}{' (done before)' * done}", soft_wrap=True)
    with interruptible(RESUME):
        prepare_all([task], places)
        from petl.train.run import Interrupted, run_task

        with asked_to_stop() as stop:
            try:
                result = run_task(
                    task,
                    places,
                    Options(track=tuple(track or tracked())),
                    on_epoch=lambda metrics: screen.print(_epoch(metrics, task)),
                    stop=stop,
                )
            except Interrupted:
                leave(f"stopped; {RESUME}", INTERRUPTED)
    kind = task.dataset.kind
    last, best = (result["metrics"][name][kind.headline] for name in ("test_last", "test_best"))
    screen.print(
        f"test {kind.title} {kind.text(last)} after the last epoch, {kind.text(best)} after "
        f"epoch {result['best_epoch']}, the best on the validation set"
    )
    if without := result["metrics"]["test_last"].get("classes_without_clips"):
        screen.print(f"{kind.title} leaves out {without:.0f} classes without test clips")


def _epoch(metrics: dict[str, Any], task: Task) -> str:
    kind = task.dataset.kind
    score = f"{kind.title} {kind.text(metrics[f'val_{kind.headline}']):>6}"
    return (
        f"epoch {metrics['epoch']:3} of {task.train.epochs}   loss {metrics['train_loss']:.4f}   "
        f"validation {score}   {metrics['seconds']:.1f} s"
    )


def pretrain(
    settings: Annotated[
        Path | None,
        typer.Argument(metavar="SETTINGS", help="A YAML file [builtin:small's]."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new folder for it.")] = Path(
        "pretrained"
    ),
) -> None:
    """Pre-train a small AST on synthetic sounds.

    The same settings, packages and kind of processor give the same file, byte for byte.

    \b
    Example:
      petl pretrain --out pretrained
      sha256sum pretrained/model.safetensors petl/backbones/small/model.safetensors
    """
    need("torch", "train")
    with interruptible("nothing was written"):
        from petl.train.pretrain import SMALL, pretrain_checkpoint

        weights = pretrain_checkpoint(settings or SMALL / "pretrain.yaml", out, console().print)
    console().print(f"wrote {weights}; use it in a study with `source: {out}`", soft_wrap=True)
