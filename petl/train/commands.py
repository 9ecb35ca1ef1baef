"""Commands that train in this process: one task of a study, or the small AST of this package."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from petl.errors import UserError, several
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
    from rich.console import Console

    from petl.config import Task
    from petl.places import Places
    from petl.runs.result import Result

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
    from petl.config.selection import one_task
    from petl.config.study import load_study
    from petl.places import Places

    names = {"dataset": dataset, "backbone": backbone, "method": method}
    task = one_task(load_study(study).tasks, study, **names, fold=fold, seed=seed)
    places = Places.choose(runs, data, cache)
    _train([task], places, track)


def _train(tasks: Sequence[Task], places: Places, track: list[str] | None = None) -> None:
    """One after the other, with a line for each epoch. Leave if somebody asks to stop."""
    from petl.config.options import Options, tracked
    from petl.data.ready import prepare_all
    from petl.runs.directory import RunDir

    screen = console()
    with interruptible(RESUME):
        prepare_all(tasks, places)
        from petl.train.run import Interrupted, run_task

        options = Options(track=tuple(track or tracked()))
        for task in tasks:
            done = RunDir.of(task, places.runs).result() is not None
            screen.print(f"{task} · run {task.run_id}{' (done before)' * done}", soft_wrap=True)
            with asked_to_stop() as stop:
                try:
                    shown = partial(_show_epoch, screen, task)
                    result = run_task(task, places, options, on_epoch=shown, stop=stop)
                except Interrupted:
                    leave(f"stopped; {RESUME}", INTERRUPTED)
            _show_result(screen, task, result)


def _show_result(screen: Console, task: Task, result: Result) -> None:
    from petl.config.kinds import SPECTROGRAMS, metric

    kind = task.kind
    if kind is SPECTROGRAMS:
        score, real = result["metrics"]["test_last"], result.get("floors", {}).get("real", {})
        measured = [
            f"{kind.title} {kind.text(of[kind.headline])} of {what}"
            for what, of in (("synthetic clips", score), ("real clips", real))
            if kind.headline in of
        ]
        screen.print(f"test {', '.join(measured) or 'with too few clips to measure them'}")
        return
    last, best = (result["metrics"][name][kind.headline] for name in ("test_last", "test_best"))
    screen.print(
        f"test {kind.title} {kind.text(last)} after the last epoch, {kind.text(best)} after "
        f"epoch {result['best_epoch']}, the best on the validation set by "
        f"{metric(task.best_by).title}"
    )
    if without := result["metrics"]["test_last"].get("classes_without_clips"):
        classes = several(round(without), "class", "classes")
        screen.print(f"{kind.title} leaves out {classes} without test clips")


def _show_epoch(screen: Console, task: Task, metrics: dict[str, Any]) -> None:
    from petl.config.kinds import SPECTROGRAMS

    kind = task.kind
    if kind is not SPECTROGRAMS:
        seen = f"validation {kind.title} {kind.text(metrics[f'val_{kind.headline}']):>6}   "
    elif "diversity" in metrics:  # it has looked at samples
        seen = f"diversity {metrics['diversity']:.2f}   "
    else:
        seen = ""
    screen.print(
        f"epoch {metrics['epoch']:3} of {task.train.epochs}   loss {metrics['train_loss']:.4f}   "
        f"{seen}{metrics['seconds']:.1f} s"
    )


def pretrain(
    study: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A study with an `objective` [the small AST's file]."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="A new folder for the checkpoint; {dataset}, {backbone}, {method}, {fold} and "
            "{seed} in its name are replaced.",
        ),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help=NAME)] = None,
    backbone: Annotated[str | None, typer.Option(help=NAME)] = None,
    method: Annotated[str | None, typer.Option(help=NAME)] = None,
    fold: Annotated[int | None, typer.Option(help="The fold that is left out.")] = None,
    seed: Annotated[int | None, typer.Option(help="The seed.")] = None,
    runs: RunsDir = None,
    data: DataDir = None,
    cache: CacheDir = None,
) -> None:
    """Pre-train an AST on sounds without labels, here, and write it as a checkpoint.

    Trains every run of the study that has no result yet. Ctrl-C saves a checkpoint; run the same
    command again to continue from it. `petl submit FILE` sends the runs to Slurm, and
    `petl export RUN DIR` writes a finished one.

    Without a study, or with the small AST's settings, it trains the small AST on synthetic sounds:
    the same settings, packages and kind of processor give the same file, byte for byte.

    \b
    Example:
      petl pretrain sounds.yaml --out "pretrained/{method}-{fold}"
      petl pretrain --out pretrained
      sha256sum pretrained/model.safetensors petl/backbones/small/model.safetensors
    """
    need("torch", "train")
    from petl.config.selection import some_tasks
    from petl.config.study import load_study
    from petl.places import Places

    if study is None or _is_of_the_small_ast(study):
        _small_ast(study, Path(out or "pretrained"))
        return
    names = {"dataset": dataset, "backbone": backbone, "method": method}
    tasks = some_tasks(load_study(study).tasks, study, **names, fold=fold, seed=seed)
    if labelled := next((task for task in tasks if task.objective is None), None):
        raise UserError(
            f"{study}: {labelled} has no `objective`; `petl train` trains what has labels"
        )
    from petl.runs.directory import RunDir
    from petl.train.objectives.export import export_encoder, folders

    places = Places.choose(runs, data, cache)
    written = folders(tasks, out)
    _train(tasks, places)
    for task, folder in written.items():
        export_encoder(RunDir.of(task, places.runs), task, folder)
        console().print(f"wrote {folder}; use it with `source: {folder}`", soft_wrap=True)
    if not out:
        console().print("`petl export RUN DIR` writes a checkpoint of a run", soft_wrap=True)


def _is_of_the_small_ast(file: Path) -> bool:
    """Settings without a matrix: they say which AST, not which study."""
    from petl.config.yamlfile import read_yaml

    return file.is_file() and "shape" in read_yaml(file).data


def _small_ast(settings: Path | None, out: Path) -> None:
    with interruptible("nothing was written"):
        from petl.train.pretrain import SMALL, pretrain_checkpoint

        weights = pretrain_checkpoint(settings or SMALL / "pretrain.yaml", out, console().print)
    console().print(f"wrote {weights}; use it in a study with `source: {out}`", soft_wrap=True)
