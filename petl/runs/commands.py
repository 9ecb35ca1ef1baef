"""`petl compact` packs finished runs, `petl adopt` moves them, `petl fabricate` makes some up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from petl.errors import several
from petl.terminal import (
    RunsDir,
    StudyFile,
    Yes,
    agrees,
    console,
    interruptible,
    progress_bars,
)

if TYPE_CHECKING:
    from petl.runs.archive.packing import Preview


def compact(
    study: StudyFile,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FIELD=VALUE]...", help="Only these runs [all finished ones]."),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Turn packed runs into folders.")] = False,
    yes: Yes = False,
    runs: RunsDir = None,
) -> None:
    """Pack finished runs into two files, for disks that limit the number of files.

    Every command reads packed runs as before. A folder is removed once the packed copy has the
    same bytes, and --undo restores it. If petl is killed, run the same command again.

    \b
    Example:
      petl compact experiments/table1.yaml
      petl compact experiments/table1.yaml method=lora fold=0 --undo
    """
    from petl.config.selection import select, setting
    from petl.config.study import load_study
    from petl.places import Places
    from petl.runs.archive.packing import pack, preview_pack, preview_unpack, unpack

    loaded = load_study(study)
    folder = Places.choose(runs).runs / loaded.name
    chosen = select(loaded.tasks, words or [], setting, study)
    wanted = {task.run_id for task in chosen} if words else None
    preview = preview_unpack(folder, wanted) if undo else preview_pack(folder, wanted)
    screen = console()
    screen.print(*_described(preview, undo), sep="\n", soft_wrap=True)
    if not (preview.runs or preview.interrupted) or not (yes or agrees("Go ahead?")):
        return
    with interruptible("run the same command again to continue"), progress_bars() as bars:
        if undo:
            result = dict(unpack(folder, preview.runs, bars))
        else:
            result = dict(pack(folder, preview.runs, bars))
    screen.print(", ".join(f"{number} {what}" for what, number in result.items()) or "cleaned up")


def _described(preview: Preview, undo: bool) -> Iterator[str]:
    size = f"{preview.files} files and folders, {preview.size / 1e6:.1f} MB"
    if not preview.runs:
        yield f"no finished runs to {'unpack' if undo else 'pack'}"
    elif undo:
        yield f"{several(len(preview.runs), 'packed run')} will become {size}"
    else:
        yield f"{several(len(preview.runs), 'finished run')}, {size}, will become 2 files"
    for reason, number in preview.left.items():
        yield f"{number} not packed: {reason}"
    if preview.interrupted:
        yield "an earlier call was interrupted; its leftovers will be cleaned up"


def adopt(
    study: StudyFile,
    old: Annotated[str, typer.Argument(metavar="OLD", help="The name that the study had.")],
    yes: Yes = False,
    runs: RunsDir = None,
) -> None:
    """Take over finished runs of a study that was renamed: move their folders to the new name.

    Only runs with the same settings are moved, and nothing is overwritten. Packed runs stay;
    unpack them first with `petl compact OLD --undo`.

    \b
    Example:
      petl adopt birds-2.yaml birds
    """
    from petl.config.locate import study_name
    from petl.config.study import load_study
    from petl.errors import UserError
    from petl.places import Places
    from petl.runs.adopt import adopt as move
    from petl.runs.adopt import finished

    loaded, folder = load_study(study), Places.choose(runs).runs
    theirs, own = folder / study_name(old), folder / loaded.name
    if theirs == own:
        raise UserError(f"{own} is the study's own folder; give the name that it had before")
    ready = finished({task.run_id for task in loaded.tasks}, theirs)
    if not ready:
        raise UserError(f"{theirs}: no finished run with the settings of {loaded.path}")
    what = several(len(ready), "finished run")
    console().print(f"{what} will move from {theirs} to {own}", soft_wrap=True)
    if yes or agrees("Go ahead?"):
        console().print(f"moved {len(move(ready, theirs, own))}")


def fabricate(
    study: StudyFile,
    runs: Annotated[Path, typer.Option("--runs", metavar="DIR", help="Write the runs here.")],
    accuracy: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML: esc50: {lora: 0.84, 'conformer-*': 0.86}."),
    ] = None,
    spread: Annotated[float, typer.Option(min=0, help="Standard deviation over folds.")] = 0.015,
    share: Annotated[float, typer.Option(min=0, max=1, help="Make this share of the runs.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same runs.")] = 0,
) -> None:
    """Make up the finished runs of a study, labelled as synthetic, to try tables and notebooks on.

    Nothing is trained. A folder that holds real runs is refused.

    \b
    Example:
      petl fabricate experiments/table1.yaml --runs made-up
    """
    from petl.config.study import load_study
    from petl.runs.synthetic import LABEL, fabricate, read_accuracies

    loaded = load_study(study)
    chosen = read_accuracies(accuracy, loaded.tasks) if accuracy else None
    with interruptible("run the same command again to continue"), progress_bars() as bars:
        made = fabricate(loaded, runs, chosen, spread=spread, seed=seed, share=share, tell=bars)
    console().print(f"{made} made-up runs in {runs / loaded.name}: see {LABEL}", soft_wrap=True)
