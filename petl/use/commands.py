"""Commands for trained runs: evaluate, predict, export; and importing the paper's checkpoints."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from petl.terminal import CacheDir, DataDir, RunsDir, console, echo, leave, need

if TYPE_CHECKING:
    from petl.use.predict import Prediction

FAILED = 1
MANY = 32
"""From this number of files on, show a progress bar."""

Run = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's folder, its id, or the id's beginning.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


class SplitPart(str, Enum):
    train = "train"
    validation = "validation"
    test = "test"


class Format(str, Enum):
    adapter = "adapter"
    huggingface = "huggingface"


def evaluate(
    run: Run,
    split: Annotated[
        SplitPart, typer.Option(help="The part of the split to evaluate on.")
    ] = SplitPart.test,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="Add a table of classes and the confusion matrix.")
    ] = False,
    as_json: AsJson = False,
    runs: RunsDir = None,
    data: DataDir = None,
    cache: CacheDir = None,
) -> None:
    """Measure a trained run again on its own dataset, and compare with what training recorded.

    The run must have kept its weights. With the same machine, packages and number of threads as
    in training, the numbers are the same to the last bit.

    \b
    Example:
      petl evaluate 3f9c --per-class
      petl evaluate runs/quickstart/3f9c0d1e2a4b5c6d --split validation --json
    """
    need("torch", "train")
    from petl.data.ready import prepare_all
    from petl.places import Places
    from petl.use import show
    from petl.use.evaluate import evaluate as measure
    from petl.use.load import load_run

    places = Places.choose(runs, data, cache)
    loaded = load_run(run, places)
    prepare_all([loaded.task], places)
    with console().status(f"evaluating {loaded.task}"):
        evaluation = measure(loaded, places, split.value)
    if as_json:
        echo(json.dumps(evaluation.to_json(with_classes=per_class), ensure_ascii=False))
        return
    screen = console()
    screen.print(show.header(evaluation), soft_wrap=True)
    screen.print(show.metrics(evaluation))
    if per_class and evaluation.confusion:
        screen.print(show.per_class(evaluation))
        screen.print(show.confusion(evaluation))


def predict(
    run: Run,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Sound files, folders of them, or - for a list."),
    ],
    top: Annotated[int, typer.Option(min=1, help="How many classes to show for each file.")] = 5,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON line for each file.")
    ] = False,
    runs: RunsDir = None,
) -> None:
    """Predict the most probable classes of sound files, or the values of a regression.

    The model uses as much of a file as in training: the first dataset.frames x 10 ms. A shorter
    file is padded. A folder is searched for sound files, with its subfolders; - reads paths from
    stdin, one per line. Files that cannot be decoded are listed at the end, and the exit code is
    then 1. RUN can also be a folder made by `petl export --format adapter`.

    \b
    Example:
      petl predict 3f9c barking.wav recordings/
      find . -name '*.flac' | petl predict 3f9c - --top 1 --json
    """
    need("torch", "train")
    from petl.places import Places
    from petl.use import show
    from petl.use.files import sound_files
    from petl.use.load import load_run
    from petl.use.predict import predict as predict_files

    paths = sound_files(files, sys.stdin)
    loaded = load_run(run, Places.choose(runs))
    predictions = []
    for prediction in _with_progress(predict_files(loaded, paths), len(paths)):
        predictions.append(prediction)
        if as_json:
            echo(json.dumps(prediction.to_json(loaded, top), ensure_ascii=False))
    failed = [prediction for prediction in predictions if prediction.error]
    if not as_json and len(failed) < len(predictions):
        console().print(show.predictions(predictions, loaded, top))
    for prediction in failed:
        echo(f"petl: {prediction.file}: {prediction.error}", err=True)
    if failed:
        leave(f"{len(failed)} of {len(predictions)} files could not be decoded", FAILED)


def export(
    run: Run,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    format: Annotated[
        Format, typer.Option(help="The trained tensors only, or the whole model.")
    ] = Format.adapter,
    runs: RunsDir = None,
) -> None:
    """Export a trained run for others: the trained tensors, or a model for Hugging Face.

    adapter: the trained tensors as safetensors, about 1 MB for an adapter, and adapter.json, which
    describes each of them. `petl predict OUT FILE` works with this folder.

    huggingface: an AST with the method merged into its weights. This works for full, gradual,
    linear and head tuning, BitFit, LoRA, DoRA, (IA)3 and SSF, and not for adapters, mixtures,
    prompts and prefixes, which the library's AST cannot compute. With `pooling: cls+dist` it is an
    ASTForAudioClassification. With any other pooling it is an ASTModel, the head in a file of its
    own, and a README that shows how to use them.

    \b
    Example:
      petl export 3f9c shared/lora-esc50
      petl export 3f9c merged --format huggingface
    """
    need("torch", "train")
    from petl.places import Places
    from petl.use.export import export as write
    from petl.use.load import load_run

    description = write(load_run(run, Places.choose(runs)), out, format.value)
    console().print(f"wrote {out}: {description}", soft_wrap=True)


def import_authors(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="A file that the released code saved.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write to.")],
    flags: Annotated[
        str,
        typer.Option(metavar="FLAGS", help="Its training flags: a JSON file, or key=value,..."),
    ],
) -> None:
    """Convert a checkpoint of the paper's repository to OUT/weights.safetensors and OUT/task.json.

    \b
    Example:
      petl import-authors best.pth imported --flags flags.json
      petl import-authors best.pth imported \\
        --flags dataset_name=ESC-50,method=prefix-tuning,prompt_len_pt=24,final_output=ALL
    """
    need("torch", "train")
    from petl.use.import_authors import import_checkpoint, read_flags

    task = import_checkpoint(checkpoint, read_flags(flags), out)
    console().print(f"wrote {out}: {task}", soft_wrap=True)


def _with_progress(predictions: Iterable[Prediction], total: int) -> Iterator[Prediction]:
    """With a progress bar on stderr, so that stdout can be piped."""
    if total < MANY:
        yield from predictions
        return
    from rich.progress import track

    bar = console(stderr=True)
    yield from track(predictions, "predicting", total, console=bar, transient=True)
