"""What the runs of a study read: sounds and pre-trained weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from shlex import quote

from petl.backbones.hub import Hub, missing, published
from petl.config import Task
from petl.config.study import Study
from petl.data.downloads import DOWNLOADS, MADE
from petl.places import Places
from slurm.doctor.findings import Finding, failure, ok


def data_of(tasks: Sequence[Task], places: Places) -> Iterator[Finding]:
    for corpus in dict.fromkeys(task.dataset.corpus for task in tasks):
        folder = places.data / corpus
        if folder.is_dir():
            yield ok(f"{folder} is here; `petl data check` decodes every file")
        elif corpus == MADE:
            yield ok(f"{folder} will be made when a run needs it")
        else:
            get = f"`petl data fetch {corpus}`, or " if corpus in DOWNLOADS else ""
            yield failure(f"{folder} is not here", f"{get}name another folder with PETL_DATA")


def weights_of(study: Study, places: Places) -> Iterator[Finding]:
    hub, absent = Hub.of(places), missing(study.tasks, places)
    for name in published(study.tasks):
        if name in absent:
            todo = f"run `petl fetch {quote(str(study.path))}` where there is a network"
            yield failure(f"the weights of {name} are not here", todo)
        else:
            commit = f", commit {hub.commit(name)}" if hub.snapshot(name) else ""
            yield ok(f"the weights of {name} are here{commit}")
