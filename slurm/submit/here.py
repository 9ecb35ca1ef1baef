"""`petl submit --local`: prepare the data, run the study on this machine, show how it goes."""

from __future__ import annotations

from shlex import quote

import typer

from petl.data.ready import prepare_all
from petl.places import Places
from petl.terminal import console, interruptible
from slurm.status.code import mixing
from slurm.status.plan import Item, Plan
from slurm.status.view import summary, troubles
from slurm.status.watch import watch
from slurm.submit.code import for_here
from slurm.submit.corpora import refuse_without_checkpoints, refuse_without_generators
from slurm.submit.local import default_workers, run_local


def run_here(
    plan: Plan, todo: list[Item], local: int | None, places: Places, code: str | None = None
) -> None:
    """Run these of a study's runs, show how far they are, and say why some failed."""
    screen = console()
    if not todo:
        screen.print(f"{summary(plan)}, nothing to do")
        return
    tasks = [item.task for item in todo]
    refuse_without_checkpoints(tasks, places)
    refuse_without_generators(plan.study, tasks, places)
    with interruptible(
        f"finished runs are kept; `petl submit {quote(str(plan.study.path))}` submits the rest"
    ):
        workers = min(local or default_workers(), len(todo))
        prepare_all(tasks, places)
        frozen = for_here(code, places.runs)
        if frozen and (note := mixing(plan, frozen.code)):
            screen.print(note, soft_wrap=True)
        with watch(plan, workers, screen) as show:
            run_local(plan, places, workers, show, todo, frozen)
    bad = [item for item in todo if item.kind in ("failed", "stopped")]
    for line in troubles(bad):
        screen.print(line, soft_wrap=True)
    if bad:
        raise typer.Exit(1)
