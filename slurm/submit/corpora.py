"""What is known about a study's corpora and checkpoints before its runs are submitted."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from petl.backbones.hub import absent
from petl.config import Task
from petl.config.study import Study
from petl.errors import UserError
from petl.places import Places
from petl.terminal import echo


def check_data(study: Study, places: Places) -> None:
    """What training would refuse about what is here, without decoding any sound."""
    if gone := absent(study.tasks, places):
        echo(f"warning: {_not_here(gone)}", err=True)
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


def _not_here(sources: Sequence[str]) -> str:
    more = f" and {len(sources) - 3} more" if sources[3:] else ""
    return (
        f"backbone.source: no such folder or file: {', '.join(sources[:3])}{more}; `petl pretrain` "
        "and `petl export` write checkpoints"
    )
