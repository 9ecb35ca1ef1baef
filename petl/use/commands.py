"""Commands about trained runs: measured again, asked about files, handed on, drawn."""

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
"""So many files take a while: a bar tells how long."""

Run = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's folder, its id, or the id's beginning.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]


class Part(str, Enum):
    train = "train"
    validation = "validation"
    test = "test"


class Format(str, Enum):
    adapter = "adapter"
    huggingface = "huggingface"


def evaluate(
    run: Run,
    split: Annotated[Part, typer.Option(help="Which clips.")] = Part.test,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="A line for each class, and what it is taken for.")
    ] = False,
    as_json: AsJson = False,
    runs: RunsDir = None,
    data: DataDir = None,
    cache: CacheDir = None,
) -> None:
    """Measure a trained run again on its own dataset, beside what training recorded.

    The study must have kept the weights (`keep_weights: true`). On the machine, packages and
    number of threads that trained it, the numbers are the same to the bit.

    \b
    Example:
      petl evaluate 3f9c --per-class
      petl evaluate runs/quickstart/3f9c0d1e2a4b5c6d --split validation --json
    """
    need("torch", "train")
    from petl.data.ready import prepare_all
    from petl.places import Places
    from petl.use import evaluate as evaluation
    from petl.use import show
    from petl.use.load import load_run

    places = Places.choose(runs, data, cache)
    loaded = load_run(run, places)
    prepare_all([loaded.task], places)
    with console().status(f"evaluating {loaded.task}"):
        found = evaluation.evaluate(loaded, places, split.value)
    if as_json:
        echo(json.dumps(evaluation.as_json(found, loaded, per_class), ensure_ascii=False))
        return
    screen = console()
    screen.print(show.header(found, loaded), soft_wrap=True)
    screen.print(show.metrics(found))
    if per_class and found.confusion:
        screen.print(show.per_class(found, loaded))
        screen.print(show.confusion(found, loaded))


def predict(
    run: Run,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Sound files, folders of them, or - for a list."),
    ],
    top: Annotated[int, typer.Option(min=1, help="So many classes for each file.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each file.")] = False,
    runs: RunsDir = None,
) -> None:
    """Say what a trained run hears in sound files: the likeliest classes, or a regression's values.

    The model hears as much of a file as it heard in training, dataset.frames x 10 ms from its
    beginning: the rest of a longer one is not heard, a shorter one is padded. A folder is searched
    for sound files, folders inside it too; - reads paths from stdin, one a line. A file that does
    not decode is named at the end, and the exit code is then 1. RUN may also be a folder made by
    `petl export --format adapter`.

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
    from petl.use.predict import as_json as line
    from petl.use.predict import predict as said

    chosen = sound_files(files, sys.stdin)
    loaded = load_run(run, Places.choose(runs))
    found = []
    for prediction in _watched(said(loaded, chosen), len(chosen)):
        found.append(prediction)
        if as_json:
            echo(json.dumps(line(prediction, loaded, top), ensure_ascii=False))
    if not as_json and any(not prediction.error for prediction in found):
        console().print(show.predictions(found, loaded, top))
    wrong = [prediction for prediction in found if prediction.error]
    for prediction in wrong:
        echo(f"petl: {prediction.file}: {prediction.error}", err=True)
    if wrong:
        leave(f"{len(wrong)} of {len(found)} files could not be heard", FAILED)


def export(
    run: Run,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    format: Annotated[
        Format, typer.Option(help="Only what was trained, or the whole model.")
    ] = Format.adapter,
    runs: RunsDir = None,
) -> None:
    """Hand a trained run on: what it trained, or a whole model for Hugging Face transformers.

    adapter: what was trained as safetensors, about 1 MB for an adapter, and adapter.json, which
    says in plain words what belongs where; `petl predict OUT FILE` works with it.

    huggingface: an AST with the method folded into its weights, for full, gradual, linear and head
    tuning, BitFit, LoRA, DoRA, (IA)3 and SSF. With `pooling: cls+dist` it is an
    ASTForAudioClassification; with another pooling an ASTModel, its head and a README that says
    how to use them. Adapters, mixtures, prompts and prefixes have no place in the library's layers.

    \b
    Example:
      petl export 3f9c shared/lora-esc50
      petl export 3f9c merged --format huggingface
    """
    need("torch", "train")
    from petl.places import Places
    from petl.use.export import export as write
    from petl.use.load import load_run

    told = write(load_run(run, Places.choose(runs)), out, format.value)
    console().print(f"{out}: {told}", soft_wrap=True)


def import_authors(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="What the released code saved.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder for what becomes of it.")],
    flags: Annotated[
        str, typer.Option(metavar="FLAGS", help="Its command line: a JSON file, or key=value,...")
    ],
) -> None:
    """Make a checkpoint of the paper's repository ours: OUT/weights.safetensors and OUT/task.json.

    \b
    Example:
      petl import-authors best.pth imported --flags flags.json
      petl import-authors best.pth imported \\
        --flags dataset_name=ESC-50,method=prefix-tuning,prompt_len_pt=24,final_output=ALL
    """
    need("torch", "train")
    from petl.use.import_authors import import_checkpoint, read_flags

    task = import_checkpoint(checkpoint, read_flags(flags), out)
    console().print(f"{out}: {task}", soft_wrap=True)


def _watched(predictions: Iterable[Prediction], total: int) -> Iterator[Prediction]:
    """With a bar on stderr, which leaves no trace in what is piped on."""
    if total < MANY:
        yield from predictions
        return
    from rich.progress import track

    bar = console(stderr=True)
    yield from track(predictions, "listening", total, console=bar, transient=True)
