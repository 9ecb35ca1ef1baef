"""Commands on what is queued or left over: cancel, clean."""

from __future__ import annotations

from typing import Annotated

import typer

from petl.terminal import RunsDir, Words, Yes, agrees, console
from slurm.status.selection import plans_of


def cancel(words: Words = None, yes: Yes = False, runs: RunsDir = None) -> None:
    """Take runs out of the queue, running ones too: their checkpoints stay.

    \b
    Example:
      petl cancel experiments/table1.yaml method=full
    """
    from petl.places import Places
    from slurm.status.selection import of
    from slurm.submit.control import along, jobs_of
    from slurm.submit.control import cancel as cancel_jobs
    from slurm.words import several

    plans, items = plans_of(words, Places.choose(runs).runs)
    screen = console()
    for plan in plans:
        mine = of(plan, items)
        jobs = jobs_of(plan, mine)
        if not jobs:
            screen.print(f"{plan.study.path}: nothing of this is in the queue", soft_wrap=True)
            continue
        others = along(plan, mine, jobs)
        rest = f", and with them {several(len(others), 'run')} in the same jobs" if others else ""
        screen.print(f"{several(len(jobs), 'job')} of {plan.study.path}{rest}", soft_wrap=True)
        if yes or agrees("Cancel?"):
            cancel_jobs(plan, jobs)
            screen.print("cancelled; what they have done is kept")


def clean(
    words: Words = None,
    finished: Annotated[
        bool, typer.Option("--finished", help="Finished runs that the study no longer has, too.")
    ] = False,
    yes: Yes = False,
    runs: RunsDir = None,
) -> None:
    """Remove what nobody needs any more; says what, and asks.

    \b
    Example:
      petl clean experiments/table1.yaml
    """
    from petl.places import Places
    from slurm.submit.clean import remove, rubbish

    plans, _ = plans_of(words, Places.choose(runs).runs)
    screen = console()
    for plan in plans:
        found = rubbish(plan, finished)
        for heap in found:
            screen.print(f"{heap.what}: {heap.size()}", *heap.some(), sep="\n  ", soft_wrap=True)
        if not found:
            screen.print(f"{plan.study.path}: nothing to clean", soft_wrap=True)
        elif yes or agrees("Remove them?"):
            remove(found)
