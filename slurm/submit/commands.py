"""Commands before and after the queue: plan, submit, retry, cancel, clean."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from petl.config.options import Options, tracked
from petl.config.study import load_study
from petl.errors import UserError, several
from petl.places import Places
from petl.terminal import (
    AsJson,
    CacheDir,
    ClusterName,
    DataDir,
    RunsDir,
    StudyFile,
    Words,
    Yes,
    agrees,
    console,
    echo,
)
from slurm.status import facts
from slurm.status.plan import Item, Plan
from slurm.status.selection import of, orphans, plans_of, warn
from slurm.status.view import lines, name_damage, overview
from slurm.submit import clean as clean_up
from slurm.submit import control
from slurm.submit.clean_code import unused_code
from slurm.submit.code import CodeChoice, for_cluster
from slurm.submit.container import refuse_gpus
from slurm.submit.corpora import check_data
from slurm.submit.here import run_here
from slurm.submit.policy import choose, failed
from slurm.submit.profile import is_path, load_profile, own_profile
from slurm.submit.retrain import retrained
from slurm.submit.sbatch import Cluster
from slurm.submit.script import refuse_folders
from slurm.submit.silent import retry_silent
from slurm.submit.to_cluster import print_scripts, submit_to


def plan(
    study: StudyFile,
    each: Annotated[bool, typer.Option("--list", help="Print a line for each run.")] = False,
    as_json: AsJson = False,
    runs: RunsDir = None,
    data: DataDir = None,
) -> None:
    """Show how much of a study is done, how much is left, and how long that takes.

    \b
    Example:
      petl plan experiments/table1.yaml
      petl plan experiments/table1.yaml --list | grep lora
    """
    places, loaded = Places.choose(runs, data), load_study(study)
    plan = Plan(loaded, places.runs)
    warn([*plan.damage, *orphans(loaded, places.runs)])
    name_damage(plan.items)
    check_data(loaded, places)
    if as_json:
        found = map(facts.of_run, plan.items) if each else [facts.of_study(plan)]
        echo("\n".join(facts.lines(found)))
    elif each:
        console().print(*lines(plan), sep="\n", soft_wrap=True)
    else:
        console().print(overview(plan))


def submit(
    study: StudyFile,
    local: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Runs at a time here [one per GPU or free CPU]."),
    ] = None,
    cluster: ClusterName = None,
    code: CodeChoice = None,
    yes: Yes = False,
    print_script: Annotated[
        bool, typer.Option("--print-script", help="Show the job scripts and submit nothing.")
    ] = False,
    retrain: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN", help="Also train this run again and keep its weights."),
    ] = None,
    runs: RunsDir = None,
    data: DataDir = None,
    cache: CacheDir = None,
) -> None:
    """Submit a study to a cluster, or run it on this machine if there is no Slurm.

    Runs that are done, queued or running are left alone: submit again for the rest.

    \b
    Example:
      petl submit experiments/table1.yaml --cluster example
      petl submit experiments/quickstart.yaml --local 2
    """
    if local is not None and (cluster or print_script):
        raise UserError("--local cannot be combined with --cluster or --print-script")
    if retrain and print_script:
        raise UserError("--retrain cannot be combined with --print-script")
    places, loaded = Places.choose(runs, data, cache), load_study(study)
    warn(orphans(loaded, places.runs))
    name = None if local else cluster or os.environ.get("PETL_CLUSTER")
    if name is None and print_script:
        raise UserError("--print-script needs a cluster: add --cluster PROFILE")
    if name is None and local is None:
        name = own_profile()
    there = _cluster(name, places, code) if name else None
    if retrain:
        loaded = retrained(loaded, retrain, places.runs)
    if there is None:
        here = Plan(loaded, places.runs)
        run_here(here, here.to_run(), local, places, code)
    elif print_script:
        print_scripts(loaded, there)
    else:
        submit_to(there, loaded, partial(choose, profile=there.profile), yes=yes)


def retry(
    words: Words = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the profile: mem_gb=64."),
    ] = None,
    silent: Annotated[
        bool,
        typer.Option("--silent", help="Instead, start runs again that give no sign of life."),
    ] = False,
    cluster: ClusterName = None,
    code: CodeChoice = None,
    yes: Yes = False,
    runs: RunsDir = None,
    data: DataDir = None,
    cache: CacheDir = None,
) -> None:
    """Submit failed runs again, whatever the cause, and release held ones.

    Runs that were never submitted to a cluster are run again on this machine.

    \b
    Example:
      petl retry experiments/table1.yaml cause=host-memory --set mem_gb=64
      petl retry experiments/table1.yaml --silent
    """
    places = Places.choose(runs, data, cache)
    plans, items = plans_of(words, places.runs)
    named = cluster or os.environ.get("PETL_CLUSTER")
    for plan in plans:
        mine = of(plan, items)
        submitted = named or any(item.attempts for item in mine)
        there = partial(_last_or, named, plan, mine, places, code, changes or [])
        if silent:
            retry_silent(plan, mine, places, there if submitted else None, ask=not yes)
            continue
        if not submitted and not changes:  # they ran on this machine
            ids = {item.task.run_id for item in mine}
            run_here(plan, failed(plan.items, ids).again, None, places, code)
            continue
        chosen = there()  # it may refuse, and then nothing has been done yet
        if waiting := control.held(plan, mine):
            avoided = control.release(plan, waiting)
            away = f", away from {', '.join(sorted(avoided))}" if avoided else ""
            console().print(f"released {several(len(waiting), 'held run')}{away}", soft_wrap=True)
        ids = {item.task.run_id for item in mine}
        submit_to(chosen, plan.study, partial(failed, runs=ids), yes=yes)


def cancel(words: Words = None, yes: Yes = False, runs: RunsDir = None) -> None:
    """Cancel queued and running jobs; checkpoints are kept.

    \b
    Example:
      petl cancel experiments/table1.yaml method=full
    """
    plans, items = plans_of(words, Places.choose(runs).runs)
    screen = console()
    for plan in plans:
        mine = of(plan, items)
        jobs = control.jobs_of(plan, mine)
        if plan.queue.trouble:
            raise UserError(
                f"{plan.study.path}: nothing is cancelled, because it is not known what is queued: "
                f"{plan.queue.trouble}; try again later"
            )
        if not jobs:
            screen.print(f"{plan.study.path}: none of these runs is in the queue", soft_wrap=True)
            continue
        others = control.along(plan, mine, jobs)
        rest = f", shared with {several(len(others), 'other run')}" if others else ""
        screen.print(f"{several(len(jobs), 'job')} of {plan.study.path}{rest}", soft_wrap=True)
        if yes or agrees("Cancel?"):
            control.cancel(plan, jobs)
            screen.print("cancelled; checkpoints are kept")


def clean(
    words: Words = None,
    finished: Annotated[
        bool,
        typer.Option("--finished", help="Also finished runs that are no longer in the study."),
    ] = False,
    damaged: Annotated[
        bool, typer.Option("--damaged", help="Instead, move damaged runs aside, to train again.")
    ] = False,
    yes: Yes = False,
    runs: RunsDir = None,
) -> None:
    """Remove files that are no longer needed; lists them and asks first.

    \b
    Example:
      petl clean experiments/table1.yaml
      petl clean experiments/table1.yaml --damaged
    """
    folder = Places.choose(runs).runs
    plans, items = plans_of(words, folder)
    if damaged:
        _move_damaged(items, yes)
        return
    for plan in plans:
        groups = clean_up.removable(plan, finished)
        if not groups:
            console().print(f"{plan.study.path}: nothing to clean", soft_wrap=True)
        _remove(groups, yes)
    _remove(unused_code(folder), yes)  # perhaps only since the submissions are gone


def _remove(groups: Sequence[clean_up.Group], yes: bool) -> None:
    for group in groups:
        console().print(group.title, *group.some(), sep="\n  ", soft_wrap=True)
    if groups and (yes or agrees("Remove them?")):
        clean_up.remove(groups)


def _move_damaged(items: Sequence[Item], yes: bool) -> None:
    by_folder = clean_up.damaged(items)
    for damage in (damage for found in by_folder.values() for damage in found):
        echo(damage)
    if not by_folder:
        echo("no run is damaged")
    elif yes or agrees(f"Move {several(len(by_folder), 'run folder')} aside?"):
        for folder in by_folder:
            echo(f"{folder} is now {clean_up.move_aside(folder)}")


def _last_or(
    named: str | None,
    plan: Plan,
    items: Sequence[Item],
    places: Places,
    code: str | None,
    changes: Sequence[str],
) -> Cluster:
    return _cluster(named or _last_cluster(plan, items), places, code, changes)


def _last_cluster(plan: Plan, items: Sequence[Item]) -> str:
    """The profile of the last submission, if I named it then and others cannot change it.

    A profile's `setup` lines run as me. A record says what its writer wants, and a profile's file
    may have been changed since; one in ./clusters or of the suite is mine to choose from.
    """
    made = [item.attempts[-1].submission for item in items if item.attempts]
    if not made:
        raise UserError(
            f"{plan.study.path}: none of these runs was submitted to a cluster; "
            "add --cluster PROFILE"
        )
    last = max(made, key=lambda submission: submission.record.when)
    name, mine = last.record.cluster, last.is_mine()
    if mine and not is_path(name):
        return name
    who = "you" if mine else f"another user ({last.record.user})"
    raise UserError(
        f"{plan.study.path}: {who} submitted these runs last, with the profile {name!r}; "
        f"its setup lines would run as you: look at it and pass --cluster {name}"
    )


def _cluster(name: str, places: Places, code: str | None, changes: Sequence[str] = ()) -> Cluster:
    profile = load_profile(name, changes)
    refuse_folders(places)
    refuse_gpus(profile)
    threads = max(1, profile.cpus // profile.side_by_side)
    options = Options(threads=threads, track=tracked())
    return Cluster(name, profile, places, options, for_cluster(code, name, profile))
