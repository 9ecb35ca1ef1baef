"""Make datasets ready before the jobs that read them start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from petl.config import Dataset, Task
from petl.config.dataset import Form
from petl.places import Places
from petl.terminal import need, progress_bars


def inputs_of(tasks: Iterable[Task]) -> dict[tuple[Dataset, Form], str]:
    """The inputs that these tasks read, each once, and what their dataset is called."""
    inputs: dict[tuple[Dataset, Form], str] = {}
    for task in tasks:
        inputs.setdefault((task.dataset, task.backbone.form), task.names.dataset)
    return inputs


def prepare_all(tasks: Sequence[Task], places: Places) -> None:
    """Compute them once, before many processes would do it at the same time."""
    need("torch", "train")
    from petl.data.load import prepare

    for (dataset, form), name in inputs_of(tasks).items():
        with progress_bars() as bars:
            prepare(dataset, places, partial(bars, f"preparing {name}"), form)
