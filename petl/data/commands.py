"""`petl data`: commands about datasets, before anything is trained on them."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from petl.errors import UserError, nearest, several
from petl.terminal import CacheDir, DataDir, Petl, console, interruptible, need, progress_bars

if TYPE_CHECKING:
    from petl.config import Dataset
    from petl.config.dataset import Form
    from petl.places import Places

LISTED = 50
"""Broken files that are listed without --list."""
PANELS = 60
"""Classes that fit on a page of a figure."""

commands = typer.Typer(
    cls=Petl,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Download a dataset, check it, and compute its spectrograms before the runs.\n\n"
    "\b\nExample:\n  petl data fetch esc50\n  petl data check esc50\n  petl data prepare esc50",
)

DatasetName = Annotated[str, typer.Argument(metavar="DATASET", help="A preset, such as esc50.")]
OfStudy = Annotated[
    Path | None, typer.Option("--study", metavar="FILE", help="The study that defines the dataset.")
]


@commands.command(short_help="Check that a dataset is complete and decodes.")
def check(
    name: DatasetName,
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="Its folder [in --data].")
    ] = None,
    study: OfStudy = None,
    everything: Annotated[
        bool, typer.Option("--list", help=f"List all broken files, not only the first {LISTED}.")
    ] = False,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw a clip of each class: PNG or PDF.")
    ] = None,
    scatter: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the two targets of a regression: PNG or PDF."),
    ] = None,
    data: DataDir = None,
) -> None:
    """Check that a dataset has its published layout and that every clip decodes.

    The exit code is 1 if runs cannot use the dataset. What does not stop a run, such as a count
    that differs from the published one, is a warning.

    \b
    Example:
      petl data check esc50
      petl data check esc50 ~/Downloads/ESC-50-master --figure esc50.png
      petl data check made-sounds --study experiments/quickstart.yaml
      petl data check made-up-deam --scatter ratings.png
    """
    need("torch", "train")
    if figure or scatter:
        need("matplotlib", "analysis")
    from rich.table import Table

    from petl.config.presets import dataset_of
    from petl.data import layouts, overview
    from petl.data.check import check as decode_all
    from petl.places import Places

    dataset = dataset_of(name, study)
    if scatter and len(dataset.targets) != 2:
        raise UserError(f"--scatter draws two targets; {name} has {len(dataset.targets)}")
    folder = _folder(path, dataset, Places.choose(data=data))
    say = partial(console().print, soft_wrap=True)
    try:
        corpus = layouts.read(folder, dataset)
    except UserError as error:
        say(f"not ready: {error}")
        raise typer.Exit(1) from None
    say(f"{name}: {folder}, layout {dataset.layout}")
    with interruptible("nothing was changed"), progress_bars() as bars:
        report = decode_all(dataset, corpus, partial(bars, f"decoding {name}"))
    table = Table.grid(padding=(0, 2))
    for fact in overview.facts(report):
        table.add_row(*fact)
    console().print(table)
    if figure and report.intact:
        from petl.data.clips import write_clips

        write_clips(report.examples(PANELS), dataset, figure)
        say(f"figure   {figure}")
    if scatter:
        from petl.data.clips import write_targets

        write_targets(corpus.targets, dataset.targets, scatter)
        say(f"scatter  {scatter}")
    broken, clips = report.broken, len(corpus.clips)
    for one in broken if everything else broken[:LISTED]:
        say(f"broken   {one.clip.file}: {one.problem}")
    if len(broken) > LISTED and not everything:
        say(f"broken   and {len(broken) - LISTED:,} more; --list shows all")
    for warning in overview.warnings(report):
        say(f"warning  {warning}")
    if broken:
        say(f"not ready: {len(broken):,} of {clips:,} clips cannot be decoded")
        raise typer.Exit(1)
    say(f"ready: {clips:,} of {clips:,} clips decode")


@commands.command(short_help="Compute spectrograms before the runs.")
def prepare(
    names: Annotated[
        list[str], typer.Argument(metavar="STUDY|DATASET...", help="YAML files, or presets.")
    ],
    data: DataDir = None,
    cache: CacheDir = None,
) -> None:
    """Compute the inputs of all runs once. Runs compute whatever is missing from the cache.

    \b
    Example:
      petl data prepare experiments/table1.yaml
      petl data prepare esc50 speech-commands
    """
    need("torch", "train")
    from petl.data import load
    from petl.places import Places

    places = Places.choose(data=data, cache=cache)
    for (dataset, form), name in _inputs(names).items():
        with interruptible("run the same command again to restart"), progress_bars() as bars:
            begin = time.perf_counter()
            corpus, inputs = load.prepare(dataset, places, partial(bars, name), form)
            seconds = time.perf_counter() - begin
        clips, rate = len(corpus.clips), len(corpus.clips) / seconds
        how = f"{seconds:.1f} s, {rate:,.0f} clips per second" if bars.tasks else "already cached"
        console().print(f"{name}: {several(clips, 'clip')}, {how}", soft_wrap=True)
        console().print(f"  {inputs.filename}, {inputs.nbytes / 1e6:,.0f} MB", soft_wrap=True)


@commands.command(short_help="Draw what a model reads of a sound file.")
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sound file.")],
    dataset: Annotated[
        str | None, typer.Option(metavar="NAME", help="As this dataset is read: a preset.")
    ] = None,
    study: OfStudy = None,
    start: Annotated[
        float, typer.Option(metavar="SECONDS", help="Draw what is read from there on.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(metavar="N", help="Draw other masks.")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PNG or PDF [the sound's name, .png].")
    ] = None,
) -> None:
    """Draw a sound file: its waveform, its spectrogram as the model reads it, and masks.

    The front end and SpecAugment are those of the dataset. Without one, it is the AST's filter
    bank of up to 30 s, without masks.

    \b
    Example:
      petl data show bird.wav
      petl data show song.mp3 --dataset esc50 --start 15 --out song.png
    """
    need("torch", "train")
    need("matplotlib", "analysis")
    from petl.config.presets import dataset_of
    from petl.data import show as figure

    if study and not dataset:
        raise UserError("--study needs --dataset: which of the study's datasets")
    path = out or Path(f"{file.stem}.png")
    settings = dataset_of(dataset, study) if dataset else None
    figure.write(figure.shown(file, settings, start, seed), path)
    console().print(f"wrote {path}", soft_wrap=True)


@commands.command(short_help="Download a public dataset.")
def fetch(
    name: DatasetName,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="A mirror of the same archive.")
    ] = None,
    data: DataDir = None,
) -> None:
    """Download a public dataset, verify it and unpack it where runs look for it.

    An interrupted download resumes. A folder that already exists is not changed.

    \b
    Example:
      petl data fetch esc50 --data /scratch/data
    """
    from petl.data.downloads import DOWNLOADS, NOT_PUBLIC
    from petl.data.fetch import fetch as download_and_unpack
    from petl.data.fetch import is_there
    from petl.places import Places

    say = partial(console().print, soft_wrap=True)
    folder = Places.choose(data=data).data / name
    if is_there(folder):
        say(f"{folder} already exists; nothing was downloaded")
        return
    if name in NOT_PUBLIC:
        raise UserError(f"{name} {NOT_PUBLIC[name]}")
    if name not in DOWNLOADS:
        raise UserError(f"petl knows no download for '{name}'{nearest(name, DOWNLOADS)}")
    download = DOWNLOADS[name]
    if url and download.more:
        raise UserError(
            f"--url names one archive, and {name} has {1 + len(download.more)}: put those that you "
            f"have into {folder.parent}, and the rest is downloaded"
        )
    say(f"{name}, licence {download.licence}: {download.page}")
    with interruptible("run the same command again to resume"), progress_bars("bytes") as bars:
        fetched = download_and_unpack(replace(download, url=url or download.url), folder, bars)
    matches = "as published" if download.checksum else "no published checksum to compare it with"
    say(f"{fetched.bytes:,} bytes, {fetched.checksum} ({matches})")
    say(f"{folder}: {several(fetched.files, 'file')}; next, run `petl data check {name}`")
    for archive in fetched.kept:
        say(f"{archive} is no longer needed and can be deleted")


# --- helpers --------------------------------------------------------------------------------------


def _folder(path: Path | None, dataset: Dataset, places: Places) -> Path:
    from petl.data.layouts.reading import holds
    from petl.data.load import folder_of

    if path is None:
        return folder_of(dataset, places)
    if not path.is_dir():
        what = "not a folder" if path.exists() else "no such folder"
        raise UserError(f"{path}: {what}; {holds(path.absolute())}")
    return path


def _inputs(names: list[str]) -> dict[tuple[Dataset, Form], str]:
    """What the runs of these datasets and studies read, each once, and the dataset's name."""
    from petl.config.presets import dataset_of
    from petl.config.study import load_study
    from petl.data.ready import inputs_of

    inputs: dict[tuple[Dataset, Form], str] = {}
    for name in names:
        if Path(name).suffix in (".yaml", ".yml"):
            inputs |= inputs_of(load_study(name).tasks)
        else:
            inputs[dataset_of(name), "spectrogram"] = name
    return inputs
