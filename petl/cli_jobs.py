"""Looking at the jobs of a study, and what may be done to them: status, ls, logs, cancel, clean."""

from __future__ import annotations

from typing import Annotated

import typer

from petl.cli_words import Words, Yes, agrees, plans_of
from petl.terminal import RunsDir, console, interruptible


def status(
    words: Words = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look on until it is over.")] = False,
    cost: Annotated[bool, typer.Option("--cost", help="GPU hours, by method.")] = False,
    runs: RunsDir = None,
) -> None:
    """Show how far the runs are, and why some failed, stopped or are lost.

    Without a study, all that were submitted to a cluster from here.

    \b
    Example:
      petl status experiments/table1.yaml
      petl status experiments/table1.yaml --watch
    """
    from petl.places import Places
    from slurm.view import progress, troubles

    folder = Places.choose(runs).runs
    if watch:
        from slurm.watch import look_on

        with interruptible("the runs go on"):
            look_on(lambda: plans_of(words, folder)[0], console())
        return
    plans, items = plans_of(words, folder)
    screen = console()
    for plan in plans:
        if plan.trouble:
            screen.print(f"warning: {plan.trouble}", soft_wrap=True)
        if cost:
            from slurm.cost import costs

            screen.print(costs(plan))
        else:
            screen.print(progress(plan))
    if not cost:
        for line in troubles(items):
            screen.print(line, soft_wrap=True)


def ls(words: Words = None, runs: RunsDir = None) -> None:
    """List runs, a line each: id, state, what it is, why.

    \b
    Example:
      petl ls experiments/table1.yaml state=failed
      petl ls experiments/table1.yaml method=conformer-* fold=0-2
    """
    from petl.places import Places
    from slurm.view import line

    _, items = plans_of(words, Places.choose(runs).runs)
    console().print(*map(line, items), sep="\n", soft_wrap=True)


def logs(
    words: Words = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="As it comes.")] = False,
    runs: RunsDir = None,
) -> None:
    """Show what a run and its job have printed; the beginning of its id is enough to name it.

    \b
    Example:
      petl logs experiments/table1.yaml method=lora fold=0
      petl logs 3f2a91 -f
    """
    from petl.places import Places
    from slurm import logs
    from slurm.view import line

    _, items = plans_of(words, Places.choose(runs).runs)
    screen = console()
    if len(items) > 1:
        lines = "".join(f"\n{line(item)}" for item in items[:10])
        typer.echo(f"{len(items)} runs match; name one by the beginning of its id:{lines}")
        raise typer.Exit(2)
    if not follow and items[0].kind != "done" and not logs.files(items[0]):
        screen.print(f"{items[0].task}: {items[0].kind}, nothing printed yet", soft_wrap=True)
        return

    def say(text: str) -> None:
        screen.print(text, soft_wrap=True)

    if not follow:
        logs.show(items[0], say)
        return
    with interruptible("the run goes on"):
        logs.follow(items[0], say)


def cancel(words: Words = None, yes: Yes = False, runs: RunsDir = None) -> None:
    """Take runs out of the queue, running ones too: their checkpoints stay.

    \b
    Example:
      petl cancel experiments/table1.yaml method=full
    """
    from petl.places import Places
    from slurm.control import along, jobs_of
    from slurm.control import cancel as cancel_jobs
    from slurm.selection import of
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
    from slurm.clean import remove, rubbish

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
