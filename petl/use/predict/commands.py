"""Commands that measure trained runs and predict with them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from petl.errors import UserError
from petl.terminal import (
    RUNS,
    STUDIES,
    CacheDir,
    DataDir,
    RunsDir,
    completed_by,
    console,
    echo,
    leave,
    need,
    progress_bars,
)

if TYPE_CHECKING:
    from petl.places import Places
    from petl.use.predict.ensemble import Ensemble
    from petl.use.predict.predict import Prediction
    from petl.use.predict.write import Kind

FAILED = 1

RunOrStudy = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A study, or a run's folder, id or id's beginning.",
        autocompletion=completed_by(STUDIES, RUNS),
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(metavar="FIELD=VALUE", help="Use only these runs of a study: method=lora."),
]
Hop = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Seconds between windows [a window's length]."),
]
PoolOption = Annotated[
    Literal["mean", "max", "vote"],
    typer.Option("--pool", help="Join a file's windows by mean or largest logits, or a vote."),
]
CombineOption = Annotated[
    Literal["mean", "vote"],
    typer.Option("--combine", help="Join runs, or files of a group, by mean probability or vote."),
]
Group = Annotated[
    str | None,
    typer.Option(
        metavar="BY",
        help="One answer for several files: a pattern such as '(.*)_part', or TABLE.csv:COLUMN; "
        "in evaluate also a column of the dataset's table.",
    ),
]
Together = Literal["folds", "all"]
EnsembleOption = Annotated[
    Together | None,
    typer.Option(
        "--ensemble", help="Use several runs of a study: the best method's folds, or all."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


class SplitPart(str, Enum):
    train = "train"
    validation = "validation"
    test = "test"


def evaluate(
    run: RunOrStudy,
    split: Annotated[
        SplitPart, typer.Option(help="The part of the split to evaluate on.")
    ] = SplitPart.test,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="Add a table of classes and the confusion matrix.")
    ] = False,
    top: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", help="Add the accuracy in the top K classes."),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Hear all of each file, in windows.")
    ] = False,
    hop: Hop = None,
    pool: PoolOption = "mean",
    group: Group = None,
    combine: CombineOption = "mean",
    together: Annotated[
        Literal["folds", "all", "each"] | None,
        typer.Option(
            "--ensemble",
            help="Use several runs of a study: the best method's folds, all, or each method's.",
        ),
    ] = None,
    only: Only = None,
    as_json: AsJson = False,
    runs: RunsDir = None,
    data: DataDir = None,
    cache: CacheDir = None,
) -> None:
    """Measure a trained run again on its own dataset, and compare with what training recorded.

    The run must have kept its weights. With the same machine, packages and number of threads as
    in training, the numbers are the same to the last bit, or to 1e-6 with `train.frozen: cached`,
    unless files are heard as a whole or in groups. RUN can be a study: its best run on the
    validation set is used. With --ensemble, the runs that have the same clips, such as the seeds of
    a fold, answer together; each makes a table of methods, alone and together.

    \b
    Example:
      petl evaluate 3f9c --per-class --top 3
      petl evaluate birds --whole --hop 2.5 --group recording
      petl evaluate birds --ensemble all --per-class
      petl evaluate runs/quickstart/3f9c0d1e2a4b5c6d --split validation --json
    """
    need("torch", "train")
    from petl.data.ready import prepare_all
    from petl.places import Places
    from petl.runs.choose import choose_each
    from petl.use import show
    from petl.use.evaluate import Way
    from petl.use.evaluate import evaluate as measure
    from petl.use.predict.ensemble import load_ensemble
    from petl.use.predict.predict import How
    from petl.use.together import both_ways, evaluate_together

    if not whole and (hop is not None or pool != "mean"):
        raise UserError("--hop and --pool are about windows; add --whole")
    places = Places.choose(runs, data, cache)
    way = Way(How(hop, pool) if whole else None, group or "", combine, top)
    if together == "each":
        cells = {}
        for name, paths in choose_each(run, places, only or ()).items():
            ensemble = load_ensemble(paths, places)
            prepare_all([one.task for one in ensemble.runs], places)
            cells[name] = both_ways(ensemble, places, split.value, way)
        if as_json:
            told = {name: [way.to_json(per_class) for way in ways] for name, ways in cells.items()}
            echo(json.dumps(told, ensure_ascii=False))
        else:
            console().print(show.ensembles(cells))
        return
    loaded = _load(run, places, only or (), together)
    if not whole:
        prepare_all([one.task for one in loaded.runs], places)
    with console(stderr=True).status(f"evaluating {loaded.runs[0].task}"):
        if together:
            evaluation = evaluate_together(loaded, places, split.value, way)
        else:
            evaluation = measure(loaded.runs[0], places, split.value, way)
    if as_json:
        echo(json.dumps(evaluation.to_json(with_classes=per_class), ensure_ascii=False))
        return
    screen = console()
    screen.print(show.header(evaluation), soft_wrap=True)
    screen.print(show.metrics(evaluation))
    if per_class and evaluation.auc:
        screen.print(show.per_class(evaluation))
    if per_class and evaluation.confusion:
        screen.print(show.confusion(evaluation))


def predict(
    run: RunOrStudy,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Sound files, folders of them, or - for a list."),
    ],
    top: Annotated[int, typer.Option(min=1, help="How many classes to show for each file.")] = 3,
    together: EnsembleOption = None,
    only: Only = None,
    hop: Hop = None,
    pool: PoolOption = "mean",
    combine: CombineOption = "mean",
    group: Group = None,
    windows: Annotated[
        bool, typer.Option("--windows", help="A row for each window instead of each file.")
    ] = False,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a label track for Audacity for each file."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the CSV file instead of printing.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON line for each file.")
    ] = False,
    runs: RunsDir = None,
) -> None:
    """Predict the most probable classes of sound files, or the values of a regression, as CSV.

    RUN can be a study: its best run on the validation set is used. All of a file is heard, in
    windows as long as a clip in training (dataset.frames x 10 ms). A shorter file is padded. A
    folder is searched for sound files, with its subfolders; - reads paths from stdin, one per
    line. A file that cannot be decoded is a row with an error, and the exit code is then 1. RUN can
    also be a folder made by `petl export --format adapter`.

    \b
    Example:
      petl predict birds ~/new/*.wav
      petl predict birds ~/new --ensemble folds --out birds.csv
      petl predict 3f9c recordings/ --hop 2.5 --labels tracks
      find . -name '*.flac' | petl predict 3f9c - --top 1 --json
    """
    need("torch", "train")
    from petl.places import Places
    from petl.use.predict import write
    from petl.use.predict.files import sound_files
    from petl.use.predict.groups import groups_of
    from petl.use.predict.predict import How, grouped
    from petl.use.predict.predict import predict as predict_files

    if windows + bool(group) + as_json > 1:
        raise UserError("choose one of --windows, --group and --json")
    kind: Kind = "windows" if windows else "groups" if group else "json" if as_json else "files"
    paths, how = sound_files(files, sys.stdin), How(hop, pool, combine)
    groups = groups_of(group, paths) if group else None
    if out is not None:
        write.refuse_existing(out)
    tracks = write.tracks_of(paths, labels) if labels else {}
    ensemble = _load(run, Places.choose(runs), only or (), together)
    sheet = write.Sheet(ensemble, top, kind)
    lines: list[str] = []
    say = lines.append if out is not None else echo
    predictions = []
    _all(say, sheet.header())
    with progress_bars(stderr=True) as bars:
        done = partial(bars, "predicting", total=len(paths))
        for prediction in predict_files(ensemble, paths, how, done):
            if prediction.file in tracks and not prediction.error:
                write.write_track(tracks[prediction.file], prediction.spans, ensemble)
            if groups is None:
                _all(say, sheet.lines(prediction))
            predictions.append(replace(prediction, spans=()))
    for prediction in grouped(predictions, groups, how, ensemble.kind) if groups else ():
        _all(say, sheet.lines(prediction))
    if out is not None:
        write.write_lines(out, lines)
    _name_broken(predictions)


def _all(say: Callable[[str], object], lines: Sequence[str]) -> None:
    for line in lines:
        say(line)


def _load(
    name: str, places: Places, only: Sequence[str], together: Together | None = None
) -> Ensemble:
    """The run or the ensemble that a name means; which one, and why, is said on stderr."""
    from petl.runs.choose import choose
    from petl.use.predict.ensemble import load_ensemble

    chosen = choose(name, places, only, together)
    if chosen.why:
        echo(f"petl: {chosen.why}", err=True)
    return load_ensemble(chosen.paths, places)


def _name_broken(predictions: Sequence[Prediction]) -> None:
    """On stderr, and with an exit code, because stdout may be piped."""
    failed = [prediction for prediction in predictions if prediction.error]
    for prediction in failed:
        echo(f"petl: {prediction.file}: {prediction.error}", err=True)
    if failed:
        leave(f"{len(failed)} of {len(predictions)} files could not be decoded", FAILED)
