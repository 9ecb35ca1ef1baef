"""The command that makes clips with a fitted generator."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from petl.errors import UserError, several
from petl.files import refuse_taken, write_folder
from petl.terminal import (
    RUNS,
    STUDIES,
    DataDir,
    RunsDir,
    Yes,
    agrees,
    completed_by,
    console,
    echo,
    need,
    progress_bars,
)

if TYPE_CHECKING:
    from petl.generate.fitted import Fitted
    from petl.generate.listen.asked import Asked, Conditions
    from petl.generate.listen.folder import Training
    from petl.places import Places

MOST = 500
"""Synthetic clips of one call: they are in memory until the folder is written."""

GeneratorRun = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A study, for its best generator, or a run's folder, id or id's beginning.",
        autocompletion=completed_by(STUDIES, RUNS),
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(metavar="FIELD=VALUE", help="Choose among these runs of a study: method=flow."),
]


def generate(
    run: GeneratorRun,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    at: Annotated[
        list[str] | None,
        typer.Option(metavar="TARGET=NUMBER,...", help="Values of all targets; can be repeated."),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help="A class; can be repeated."),
    ] = None,
    number: Annotated[
        int, typer.Option("-n", "--number", metavar="N", help="Clips of each condition.")
    ] = 4,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the noise.")] = 0,
    real: Annotated[
        int, typer.Option(min=0, max=20, help="Real training clips beside each condition.")
    ] = 2,
    grid: Annotated[
        bool | None,
        typer.Option("--grid/--no-grid", help="A picture of the plane of two targets [two: yes]."),
    ] = None,
    only: Only = None,
    yes: Yes = False,
    runs: RunsDir = None,
    data: DataDir = None,
) -> None:
    """Make synthetic clips with a fitted generator: sounds, pictures and a page to listen with.

    OUT/index.html has a player for each clip, and beside them real training clips of the nearest
    conditions with their round trip: from sound to a spectrogram and back. A target's value is in
    the unit of the dataset's table, as in `petl predict`. Without --at and --class, the conditions
    are drawn from the training labels, one clip of each. The files say in their metadata that they
    are synthetic. --real 0 leaves copies of the dataset out of the folder.

    \b
    Example:
      petl generate emotion --at valence=6.2,arousal=4.5 -n 8 calm
      petl generate 3f9c --class dog --class rain dogs
      petl generate generators --only method=flow drawn --real 0
    """
    need("torch", "train")
    if at and classes:
        raise UserError("choose --at or --class: a generator has targets or classes")
    if not 1 <= number <= MOST:
        raise UserError(f"-n {number}: should be 1 to {MOST}")
    refuse_taken(out)
    need("matplotlib", "analysis")
    from petl.generate.listen.asked import Conditions
    from petl.generate.listen.folder import Folder
    from petl.places import Places

    places = Places.choose(runs, data)
    fitted = _load(run, places, only or ())
    of = Conditions(fitted.task.dataset, fitted.ranges)
    if grid and not (of.of_numbers and len(of.ranges) == 2):
        raise UserError("--grid is a plane of two targets, and this generator has no two")
    folder = Folder(fitted, of, seed)  # refuses what has no way back to sound
    asked = [of.at(text) for text in at or ()] + [of.of_class(name) for name in classes or ()]
    if len(asked) * number > MOST:
        raise UserError(f"{len(asked)} conditions x {number} clips are more than {MOST}: lower -n")
    _agree(of.outside(asked), yes)
    training = _training(fitted, places, needed=not asked) if real or not asked else None
    if training is not None and not asked:
        asked, number = _drawn(training, of, number, seed), 1
    with progress_bars(stderr=True) as bars:
        plane = grid is not False and of.of_numbers and len(of.ranges) == 2
        said = lambda done, total: bars("making sound", done, total)  # noqa: E731
        folder.fill(asked, number, training if real else None, real, plane, said)
    write_folder(out, folder.files)
    clips = several(len(asked) * number, "synthetic clip")
    console().print(f"wrote {clips}: open {out / 'index.html'}", soft_wrap=True)


def _load(run: str, places: Places, only: list[str] | tuple[()]) -> Fitted:
    from petl.generate.fitted import Fitted
    from petl.runs.choose import choose
    from petl.runs.directory import RunDir

    chosen = choose(run, places, only, generators=True)
    if chosen.why:
        echo(f"petl: {chosen.why}", err=True)
    return Fitted.load(RunDir(chosen.paths[0]))


def _agree(outside: str, yes: bool) -> None:
    """A generator says nothing about what it has never seen, but makes a clip all the same."""
    if not outside:
        return
    if not yes and not _on_a_terminal():
        raise UserError(f"{outside}; --yes makes the clips all the same")
    echo(f"petl: warning: {outside}", err=True)
    if not yes and not agrees("Make these clips?"):
        raise typer.Exit


def _on_a_terminal() -> bool:
    return sys.stdin.isatty()


def _training(fitted: Fitted, places: Places, needed: bool) -> Training | None:
    """Without the dataset there is nothing to draw from; real clips are only left out."""
    from petl.generate.listen.folder import Training

    try:
        return Training.of(fitted, places)
    except UserError as error:
        if needed:
            raise UserError(
                f"no conditions to draw from; name them with --at or --class: {error}"
            ) from None
        echo(f"petl: warning: no real clips beside the synthetic ones: {error}", err=True)
        return None


def _drawn(training: Training, of: Conditions, number: int, seed: int) -> list[Asked]:
    from petl.generate.conditions import drawn

    return [of.of(row) for row in drawn(training.known, of.dataset, number, seed).tolist()]
