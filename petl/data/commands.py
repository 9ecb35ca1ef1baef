"""Commands about datasets, before anything is trained on them: `petl data`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from petl.errors import UserError, nearest
from petl.terminal import CacheDir, DataDir, Petl, console, interruptible, need

if TYPE_CHECKING:
    from petl.config import Dataset
    from petl.data.corpus import Corpus
    from petl.data.features import Form
    from petl.places import Places

SHOWN = 50
"""So many broken files fit on a screen; --list shows all."""
PANELS = 60
"""Of a figure: more classes than this do not fit on a page."""

commands = typer.Typer(
    cls=Petl,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Fetch a dataset, check it, and compute its spectrograms ahead of the runs.\n\n"
    "\b\nExample:\n  petl data fetch esc50\n  petl data check esc50\n  petl data prepare esc50",
)

DatasetName = Annotated[str, typer.Argument(metavar="DATASET", help="A preset, such as esc50.")]
OfStudy = Annotated[
    Path | None, typer.Option("--study", metavar="FILE", help="The study whose dataset it is.")
]


@commands.command(short_help="See whether a dataset is whole.")
def check(
    name: DatasetName,
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="Its folder [in --data].")
    ] = None,
    study: OfStudy = None,
    everything: Annotated[
        bool, typer.Option("--list", help=f"List broken files beyond the first {SHOWN} too.")
    ] = False,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw a clip of each class: PNG or PDF.")
    ] = None,
    data: DataDir = None,
) -> None:
    """See whether a dataset is laid out as its makers published it and every clip decodes.

    Exit code 1 if it cannot be used. What is merely odd, such as a count that differs from the
    published one, is a warning.

    \b
    Example:
      petl data check esc50
      petl data check esc50 ~/Downloads/ESC-50-master --figure esc50.png
      petl data check made-sounds --study experiments/quickstart.yaml
    """
    need("torch", "train")
    if figure:
        need("matplotlib", "analysis")
    from petl.config.presets import dataset_of
    from petl.data.check import check as hear_all
    from petl.data.overview import overview
    from petl.places import Places

    dataset = dataset_of(name, study)
    screen = console()
    try:
        corpus = _read(path, dataset, Places.choose(data=data))
    except _NotReadable as error:
        screen.print(f"not ready: {error}", soft_wrap=True)
        raise typer.Exit(1) from None
    screen.print(f"{name}: {corpus.folder}, laid out as {dataset.layout}", soft_wrap=True)
    with interruptible("nothing was changed"), _bar(f"decoding {name}") as tell:
        checked = hear_all(dataset, corpus, tell)
    screen.print(overview(checked))
    if figure and checked.sound:
        from petl.data.clips import write_clips

        write_clips(checked.examples(PANELS), dataset.frames, figure)
        screen.print(f"figure   {figure}", soft_wrap=True)
    broken, clips = checked.broken, len(corpus.clips)
    for one in broken if everything else broken[:SHOWN]:
        screen.print(f"broken   {one.clip.file}: {one.problem}", soft_wrap=True)
    if len(broken) > SHOWN and not everything:
        screen.print(f"broken   and {len(broken) - SHOWN:,} more; --list shows all")
    for warning in checked.warnings():
        screen.print(f"warning  {warning}", soft_wrap=True)
    if broken:
        screen.print(f"not ready: {len(broken):,} of {clips:,} clips are broken")
        raise typer.Exit(1)
    screen.print(f"ready: {clips:,} of {clips:,} clips decode")


@commands.command(short_help="Compute spectrograms ahead of the runs.")
def prepare(
    names: Annotated[
        list[str], typer.Argument(metavar="STUDY|DATASET...", help="YAML files, or presets.")
    ],
    data: DataDir = None,
    cache: CacheDir = None,
) -> None:
    """Compute what runs read, once for all of them. A run that finds nothing does it by itself.

    \b
    Example:
      petl data prepare experiments/table1.yaml
      petl data prepare esc50 speech-commands
    """
    need("torch", "train")
    from petl.data import load as datasets
    from petl.places import Places

    places = Places.choose(data=data, cache=cache)
    for name, dataset, form in _chosen(names):
        with interruptible("the same command starts this dataset anew"), _bar(name) as tell:
            steps: list[int] = []

            def count(done: int, total: int, tell: Any = tell, steps: Any = steps) -> None:
                steps.append(done)
                tell(done, total)

            begin = time.perf_counter()
            corpus, inputs = datasets.prepare(dataset, places, count, form)
            seconds = time.perf_counter() - begin
        clips = len(corpus.clips)
        how = f"{seconds:.1f} s, {clips / seconds:,.0f} clips a second" if steps else "there before"
        console().print(f"{name}: {clips:,} clips, {how}", soft_wrap=True)
        console().print(f"  {inputs.filename}, {inputs.nbytes / 1e6:,.0f} MB", soft_wrap=True)


@commands.command(short_help="Download a public dataset.")
def fetch(
    name: DatasetName,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="A mirror of the same archive.")
    ] = None,
    data: DataDir = None,
) -> None:
    """Download a public dataset, verify it and unpack it where runs look for it.

    An interrupted download goes on where it was. A folder that is there already stays as it is.

    \b
    Example:
      petl data fetch esc50 --data /scratch/data
    """
    from petl.data.downloads import DOWNLOADS, NOT_PUBLIC
    from petl.data.fetch import fetch as bring
    from petl.data.fetch import is_there
    from petl.places import Places

    folder = Places.choose(data=data).data / name
    if is_there(folder):
        console().print(f"{folder} is there already; nothing was fetched", soft_wrap=True)
        return
    if name in NOT_PUBLIC:
        raise UserError(f"{name} {NOT_PUBLIC[name]}")
    if name not in DOWNLOADS:
        raise UserError(f"no download is known for '{name}'{nearest(name, DOWNLOADS)}")
    download = DOWNLOADS[name]
    if url:
        download = replace(download, url=url)
    screen = console()
    screen.print(f"{name}, {download.licence}: {download.page}", soft_wrap=True)
    with interruptible("the same command goes on from there"), _stages() as tell:
        fetched = bring(download, folder, tell)
    found = f"{fetched.bytes:,} bytes, {fetched.checksum}"
    verified = "as published" if fetched.verified else "no published checksum to compare it with"
    screen.print(f"{found} ({verified})", soft_wrap=True)
    screen.print(f"{folder}: {fetched.files:,} files; next, petl data check {name}", soft_wrap=True)
    if fetched.left:
        screen.print(f"{fetched.left} was there before and may go", soft_wrap=True)


# --- what they are made of ------------------------------------------------------------------------


class _NotReadable(UserError):
    """The folder is there, and what is in it is not the layout."""


def _read(path: Path | None, dataset: Dataset, places: Places) -> Corpus:
    from petl.data.layouts.reading import holds
    from petl.data.load import READERS, folder_of

    if path is not None and not path.is_dir():
        what = "not a folder" if path.exists() else "no such folder"
        raise UserError(f"{path}: {what}; {holds(path.absolute())}")
    folder = path or folder_of(dataset, places)
    try:
        return READERS[dataset.layout](folder, dataset)
    except UserError as error:
        raise _NotReadable(str(error)) from None


def _chosen(names: list[str]) -> Iterator[tuple[str, Dataset, Form]]:
    """Whatever the runs of these datasets and studies read, each once."""
    from petl.config.presets import dataset_of
    from petl.config.study import load_study
    from petl.data.features import form_of

    chosen: dict[tuple[Dataset, Form], str] = {}
    for name in names:
        if Path(name).suffix in (".yaml", ".yml"):
            for task in load_study(name).tasks:
                chosen.setdefault((task.dataset, form_of(task.backbone)), task.names.dataset)
        else:
            chosen.setdefault((dataset_of(name), "spectrogram"), name)
    yield from ((name, *what) for what, name in chosen.items())


@contextmanager
def _bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Clips done of clips in all. In a log, where a bar would only be noise, nothing."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    screen = console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _stages() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar of bytes for each stage."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
    from rich.progress import TransferSpeedColumn as Speed

    screen = console()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), Speed())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def tell(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield tell
