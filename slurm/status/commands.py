"""Commands that look at a study's runs: status, ls, logs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from petl.errors import UserError
from petl.places import Places
from petl.terminal import AsJson, RunsDir, Words, console, echo, interruptible
from slurm.scheduler import start_asking
from slurm.status import facts
from slurm.status import logs as run_logs
from slurm.status.code import queued_with_other_code
from slurm.status.plan import Plan
from slurm.status.selection import plans_of
from slurm.status.view import line, name_damage, progress, troubles
from slurm.status.watch import watch_cluster


def status(
    words: Words = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Refresh until all runs have ended.")
    ] = False,
    cost: Annotated[bool, typer.Option("--cost", help="Show GPU hours by method.")] = False,
    as_json: AsJson = False,
    runs: RunsDir = None,
) -> None:
    """Show how far the runs are, and why some failed, stopped or are lost.

    Without STUDY, show all studies with runs in this runs folder.

    \b
    Example:
      petl status experiments/table1.yaml
      petl status experiments/table1.yaml --watch
      petl status --json | jq .states
    """
    if as_json and (watch or cost):
        raise UserError("--json cannot be combined with --watch or --cost")
    folder = Places.choose(runs).runs
    plans, items = plans_of(words, folder, local=True)
    if as_json:
        echo("\n".join(facts.lines(map(facts.of_study, plans))))
        return
    if watch:
        with interruptible("the runs continue"):
            watch_cluster(lambda: _look_again(plans, folder), console())
        return
    screen = console()
    name_damage(items)
    for plan in plans:
        if plan.trouble:
            files = "; this is what the files say" if plan.queue.trouble else ""
            screen.print(f"warning: {plan.trouble}{files}", soft_wrap=True)
        if cost:
            from slurm.status.cost import costs

            screen.print(costs(plan))
        else:
            screen.print(progress(plan))
            for line in queued_with_other_code(plan):
                screen.print(line, soft_wrap=True)
    if not cost:
        for line in troubles(items):
            screen.print(line, soft_wrap=True)


def _look_again(plans: Sequence[Plan], folder: Path) -> list[Plan]:
    start_asking()
    return [Plan(plan.study, folder) for plan in plans]


def ls(words: Words = None, as_json: AsJson = False, runs: RunsDir = None) -> None:
    """List runs: id, state, what it is, its result, or why it failed or waits.

    With --json, print a JSON line for each run.

    \b
    Example:
      petl ls experiments/table1.yaml state=failed
      petl ls experiments/table1.yaml method=conformer-* fold=0-2
    """
    _, items = plans_of(words, Places.choose(runs).runs, local=True)
    name_damage(items)
    if as_json:
        echo("\n".join(facts.lines(map(facts.of_run, items))))
        return
    console().print(*map(line, items), sep="\n", soft_wrap=True)


def logs(
    words: Words = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new lines as they are written.")
    ] = False,
    runs: RunsDir = None,
) -> None:
    """Show the logs of a run and its job. The first digits of its id are enough to select it.

    \b
    Example:
      petl logs experiments/table1.yaml method=lora fold=0
      petl logs 3f2a91 -f
    """
    _, items = plans_of(words, Places.choose(runs).runs, local=True)
    screen = console()
    if len(items) > 1:
        some = "".join(f"\n{line(item)}" for item in items[:10])
        echo(f"{len(items)} runs match; select one by the first digits of its id:{some}")
        raise typer.Exit(2)
    name_damage(items)
    if not follow and items[0].kind != "done" and not run_logs.files(items[0]):
        screen.print(f"{items[0].task}: {items[0].kind}, no log yet", soft_wrap=True)
        return

    def say(text: str) -> None:
        screen.print(text, soft_wrap=True)

    if not follow:
        run_logs.show(items[0], say)
        return
    with interruptible("the run continues"):
        run_logs.follow(items[0], say)
