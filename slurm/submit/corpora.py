"""What is known about a study's corpora, checkpoints and generators before runs are submitted."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from shlex import quote

from petl.backbones.hub import absent
from petl.config import Task
from petl.config.study import Study
from petl.errors import UserError
from petl.places import Places
from petl.runs.find import any_run
from petl.terminal import echo


def check_data(study: Study, places: Places) -> None:
    """What training would refuse about what is here, without decoding any sound."""
    if gone := absent(study.tasks, places):
        echo(f"warning: {_not_here(gone)}", err=True)
    if unfitted := _unfitted(study, study.tasks, places):
        echo(f"warning: {unfitted}", err=True)
    objects = {id(task.dataset): task.dataset for task in study.tasks}  # few, of many tasks
    for dataset in dict.fromkeys(objects.values()):
        folder = places.data / dataset.corpus
        if not folder.is_dir() or find_spec("numpy") is None:
            continue
        from petl.data import layouts

        try:
            layouts.read(folder, dataset)
        except UserError as error:
            echo(f"warning: {error}", err=True)


def refuse_without_checkpoints(todo: Sequence[Task], places: Places) -> None:
    """Where no run could begin; where some could, say which checkpoints are not here."""
    gone = absent(todo, places)
    if gone and all(task.backbone.source in gone for task in todo):
        raise UserError(_not_here(gone))
    if gone:
        echo(f"warning: {_not_here(gone)}; runs that need them will fail", err=True)


def refuse_without_generators(study: Study, todo: Sequence[Task], places: Places) -> None:
    """Rather than in every job that trains on a generator's clips."""
    if unfitted := _unfitted(study, todo, places):
        raise UserError(unfitted)


def _unfitted(study: Study, tasks: Sequence[Task], places: Places) -> str:
    wanted = {task.augment.generator for task in tasks if task.augment and task.augment.share != 0}
    runs = {run_id: any_run(run_id, places.runs) for run_id in sorted(wanted)}
    gone = [run_id for run_id, run in runs.items() if run is None or run.result() is None]
    if not gone:
        return ""
    studies = sorted({quote(str(study.generators[it])) for it in gone if it in study.generators})
    fits = " and ".join(f"`petl submit {path}`" for path in studies)
    more = f" and {len(gone) - 1} more" if gone[1:] else ""
    return (
        f"augment.generator: not fitted to the end in {places.runs}: {gone[0]}{more}; first "
        f"{fits or 'fit them'}"
    )


def _not_here(sources: Sequence[str]) -> str:
    more = f" and {len(sources) - 3} more" if sources[3:] else ""
    return (
        f"backbone.source: no such folder or file: {', '.join(sources[:3])}{more}; `petl pretrain` "
        "and `petl export` write checkpoints"
    )
