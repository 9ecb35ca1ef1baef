"""What is known about a study's corpora before its runs are submitted."""

from __future__ import annotations

from importlib.util import find_spec

from petl.config.study import Study
from petl.errors import UserError
from petl.places import Places
from petl.terminal import echo


def check_data(study: Study, places: Places) -> None:
    """What training would refuse about the corpora that are here, without decoding any sound."""
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
