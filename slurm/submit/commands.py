"""From a study to jobs: submit, and retry what failed."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from petl.errors import UserError
from petl.terminal import (
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
    interruptible,
)
from slurm.status.selection import plans_of

if TYPE_CHECKING:
    from petl.places import Places
    from slurm.status.plan import Item, Plan
    from slurm.submit.policy import Choice
    from slurm.submit.send import Cluster


def submit(
    study: StudyFile,
    local: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="So many runs at a time [one per GPU, else CPU]."),
    ] = None,
    cluster: ClusterName = None,
    yes: Yes = False,
    print_script: Annotated[
        bool, typer.Option("--print-script", help="Show the job scripts and submit nothing.")
    ] = False,
    runs: RunsDir = None,
    data: DataDir = None,
    cache: CacheDir = None,
) -> None:
    """Submit to a cluster, or run on this machine, what is neither done nor queued nor running.

    Finished runs are kept, so submitting again goes on with the rest.

    \b
    Example:
      petl submit experiments/table1.yaml --cluster example
      petl submit experiments/quickstart.yaml --local 2
    """
    from petl.config.study import load_study
    from petl.places import Places
    from slurm.status.plan import Plan
    from slurm.submit.policy import choose

    if local is not None and (cluster or print_script):
        raise UserError("--local goes neither with --cluster nor with --print-script")
    places = Places.choose(runs, data, cache)
    name = None if local else cluster or os.environ.get("PETL_CLUSTER")
    if name is None:
        if print_script:
            raise UserError("--print-script: name a cluster with --cluster")
        _here(study, local, places)
        return
    loaded, there = load_study(study), _cluster(name, places)

    def plan() -> Plan:
        return Plan(loaded, places.runs)

    def wanted(plan: Plan) -> Choice:
        return choose(plan.items, there.profile)

    if print_script:
        _scripts(now := plan(), there, wanted(now))
    else:
        _to_cluster(plan, there, wanted, yes=yes)


def retry(
    words: Words = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Such as mem_gb=64.")
    ] = None,
    cluster: ClusterName = None,
    yes: Yes = False,
    runs: RunsDir = None,
    data: DataDir = None,
    cache: CacheDir = None,
) -> None:
    """Submit failed runs again, whatever they failed of, and let held ones go on.

    \b
    Example:
      petl retry experiments/table1.yaml cause=out-of-memory --set mem_gb=64
    """
    from petl.places import Places
    from slurm.status.plan import Plan
    from slurm.status.selection import of
    from slurm.submit.control import held, release
    from slurm.submit.policy import Choice
    from slurm.words import several

    places = Places.choose(runs, data, cache)
    plans, items = plans_of(words, places.runs)
    for plan in plans:
        mine = {item.task.run_id: item for item in of(plan, items)}
        if waiting := held(plan, mine.values()):
            release(plan, waiting)
            console().print(f"{several(len(waiting), 'held run')} may go on")
        name = cluster or os.environ.get("PETL_CLUSTER") or _last_cluster(mine.values())
        if name is None:
            raise UserError(
                f"{plan.study.path}: no run of it was on a cluster; --cluster names one"
            )

        def failed(later: Plan, mine: Container[str] = mine) -> Choice:
            kinds = ("failed", "stopped", "lost")
            return Choice(
                again=[i for i in later.items if i.kind in kinds and i.task.run_id in mine]
            )

        study = plan.study
        _to_cluster(
            lambda study=study: Plan(study, places.runs),
            _cluster(name, places, changes or []),
            failed,
            yes=yes,
        )


def _last_cluster(items: Iterable[Item]) -> str | None:
    tries = [item.tries[-1] for item in items if item.tries]
    return (
        max(tries, key=lambda t: t.submission.said.when).submission.said.cluster if tries else None
    )


def _here(study: Path, local: int | None, places: Places) -> None:
    from petl.config.study import load_study
    from petl.data.ready import prepare_all
    from slurm.status.plan import Plan
    from slurm.status.view import summary, troubles

    plan = Plan(load_study(study), places.runs)
    todo = plan.to_run()
    screen = console()
    if not todo:
        screen.print(f"{summary(plan)}, nothing to do")
        return
    with interruptible(f"finished runs are kept; `petl submit {study}` goes on with the rest"):
        prepare_all([item.task for item in todo], places)
        from slurm.status.watch import watch
        from slurm.submit.local import default_workers, run_local

        workers = min(local or default_workers(), len(todo))
        with watch(plan, workers, screen) as show:
            run_local(plan, places, workers, show)
    failed = [item for item in todo if item.kind == "failed"]
    for line in troubles(failed):
        screen.print(line, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _cluster(name: str, places: Places, changes: Sequence[str] = ()) -> Cluster:
    from petl.config.options import Options, tracked
    from slurm.submit.profile import load_profile
    from slurm.submit.send import Cluster

    profile = load_profile(name, changes)
    threads = max(1, profile.cpus // profile.side_by_side)
    return Cluster(name, profile, places, Options(threads=threads, track=tracked()))


def _to_cluster(
    plan: Callable[[], Plan], cluster: Cluster, choose: Callable[[Plan], Choice], *, yes: bool
) -> None:
    """Say what would be submitted, ask, and submit what of it is still to be done by then."""
    from slurm.submit.policy import batches, difference, gpu_hours, hints, only
    from slurm.submit.send import intend, submit
    from slurm.words import several

    screen, now = console(), plan()
    choice = choose(now)
    screen.print(difference(choice, now.counts()), soft_wrap=True)
    screen.print(*hints(choice.never), sep="\n", soft_wrap=True, end="")
    if now.trouble:
        screen.print(f"warning: {now.trouble}", soft_wrap=True)
    if not choice.to_submit:
        screen.print("nothing to submit")
        return
    made = [intend(now, batch, cluster) for batch in batches(choice, cluster.profile)]
    jobs = several(sum(m.elements(chunk) for m in made for chunk in range(m.chunks)), "job")
    arrays = several(sum(m.chunks for m in made), "array")
    hours = gpu_hours(now, choice.to_submit, cluster.profile)
    screen.print(f"{jobs} in {arrays} on {cluster.name}; {hours}", soft_wrap=True)
    if not yes and not agrees("Submit?"):
        return
    agreed = {item.task.run_id for item in choice.to_submit}
    study = now.study.path
    with interruptible(f"`petl submit {study}` finds what was submitted and goes on with the rest"):
        made = submit(
            plan,
            lambda later: batches(only(choose(later), agreed), cluster.profile),
            cluster,
            lambda remark: screen.print(remark, soft_wrap=True),
        )
    if not made:
        screen.print("somebody else has submitted them meanwhile")
    for submission in made:
        jobs = ", ".join(job for job in submission.arrays.values() if job)
        screen.print(f"submitted {several(len(submission.said.runs), 'run')}: array {jobs}")
    screen.print(f"`petl status {study}` tells how far they are", soft_wrap=True)


def _scripts(plan: Plan, cluster: Cluster, choice: Choice) -> None:
    from slurm.submit.policy import batches
    from slurm.submit.script import job_script
    from slurm.submit.send import arrays, intend

    for batch in batches(choice, cluster.profile):
        submission = intend(plan, batch, cluster)
        for chunk, array in enumerate(arrays(submission, cluster, plan.in_queue())):
            echo(f"# {submission.script(chunk)}\n{job_script(cluster.profile, array)}")
