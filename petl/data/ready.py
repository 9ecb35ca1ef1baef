"""Every dataset of some tasks made ready, with a word on the terminal while it takes its time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from petl.config import Task
from petl.places import Places
from petl.terminal import console, need


def prepare_all(tasks: Sequence[Task], places: Places) -> None:
    """Make each dataset ready once, before many processes would do it at the same time."""
    need("torch", "train")
    from petl.data.features import form_of
    from petl.data.load import prepare

    wanted = {(task.dataset, form_of(task.backbone)): task.names.dataset for task in tasks}
    for (dataset, form), name in wanted.items():
        with console().status(f"preparing {name}") as status:

            def tell(done: int, total: int, name: str = name, show: Any = status.update) -> None:
                show(f"preparing {name}: {done} of {total} clips")

            prepare(dataset, places, tell, form)
