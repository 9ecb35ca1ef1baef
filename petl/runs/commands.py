"""Run directories by the thousand: packed into few files, and made up for tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from petl.terminal import RunsDir, StudyFile, Yes, agrees, console, interruptible

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from petl.runs.compact import Offer, Tell


def compact(
    study: StudyFile,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FIELD=VALUE]...", help="Only these [all that are finished]."),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Make folders of them again.")] = False,
    yes: Yes = False,
    runs: RunsDir = None,
) -> None:
    """Pack finished runs into two files instead of a folder each, where files are rationed.

    Everything reads them as before. A folder is removed once its pack has the same bytes, and
    --undo brings it back; killed in between, the same command goes on.

    \b
    Example:
      petl compact experiments/table1.yaml
      petl compact experiments/table1.yaml method=lora fold=0 --undo
    """
    from petl.config.selection import select, setting
    from petl.config.study import load_study
    from petl.places import Places
    from petl.runs import compact as packing

    loaded = load_study(study)
    folder = Places.choose(runs).runs / loaded.name
    chosen = select(loaded.tasks, words or [], setting, study)
    wanted = {task.run_id for task in chosen} if words else None
    found = packing.offer_undo(folder, wanted) if undo else packing.offer(folder, wanted)
    screen = console()
    screen.print(*_told(found, undo), sep="\n", soft_wrap=True)
    if not (found.runs or found.interrupted) or not (yes or agrees("Go ahead?")):
        return
    with interruptible("the same command goes on"), _progress() as progress:
        if undo:
            became = Counter({"unpacked": packing.undo(folder, found.runs, _shown_in(progress))})
        else:
            became = packing.compact(folder, found.runs, _shown_in(progress))
    screen.print(", ".join(f"{number} {what}" for what, number in became.items()) or "cleared up")


def _told(found: Offer, undo: bool) -> Iterator[str]:
    many = f"{len(found.runs)} finished runs" if found.runs else "no finished runs"
    if not found.runs:
        yield f"{many} to {'unpack' if undo else 'pack'}"
    elif undo:
        yield f"{many} out of their pack into {found.files} files and folders, {_mb(found.size)}"
    else:
        yield f"{many}: {found.files} files and folders, {_mb(found.size)}, become 2 files"
    for reason, number in found.left.items():
        yield f"{number} stay: {reason}"
    if found.interrupted:
        yield "an earlier call was interrupted; what it left is cleared up"


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _progress() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    return Progress(*columns, console=console(), transient=True)


def _shown_in(progress: Progress) -> Tell:
    bars: dict[str, TaskID] = {}

    def tell(what: str, done: int, total: int) -> None:
        if what not in bars:
            bars[what] = progress.add_task(what, total=total)
        if done % 20 == 0 or done == total:
            progress.update(bars[what], completed=done)

    return tell


def fabricate(
    study: StudyFile,
    runs: Annotated[Path, typer.Option("--runs", metavar="DIR", help="Where they go.")],
    accuracy: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML: esc50: {lora: 0.84, 'conformer-*': 0.86}."),
    ] = None,
    spread: Annotated[float, typer.Option(min=0, help="Standard deviation over folds.")] = 0.015,
    share: Annotated[float, typer.Option(min=0, max=1, help="So many of the runs.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same makes the same.")] = 0,
) -> None:
    """Make up a study's finished runs, labelled as such, to try tables and notebooks on.

    Nothing is trained. Where real runs of the study are, nothing is made.

    \b
    Example:
      petl fabricate experiments/table1.yaml --runs made-up
    """
    from petl.config.study import load_study
    from petl.runs.synthetic import LABEL, fabricate, read_accuracies

    loaded = load_study(study)
    chosen = read_accuracies(accuracy, loaded.tasks) if accuracy else None
    with interruptible("the same command makes the rest"), console().status("") as status:

        def tell(done: int) -> None:
            if done % 100 == 0:
                status.update(f"{done} of {len(loaded.tasks)}")

        made = fabricate(loaded, runs, chosen, spread=spread, seed=seed, share=share, tell=tell)
    console().print(f"{made} made-up runs in {runs / loaded.name}: see {LABEL}", soft_wrap=True)
