"""`petl submit --cluster`: plan, show, ask, submit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from shlex import quote

from petl.backbones.hub import missing
from petl.config.study import Study
from petl.errors import UserError, several
from petl.runs.claim import Claim
from petl.terminal import agrees, console, echo, interruptible
from slurm.status.code import mixing
from slurm.status.plan import Item, Plan
from slurm.status.selection import warn
from slurm.submission import submissions_folder
from slurm.submit.corpora import refuse_without_checkpoints, refuse_without_generators
from slurm.submit.policy import Choice, batches, choose, difference, gpu_hours, hints
from slurm.submit.recover import alone, recover
from slurm.submit.sbatch import Cluster, arrays, intended, submit
from slurm.submit.script import job_script

FRESH_S = 60
"""A plan that was shown and agreed to within this time need not be made again."""


def submit_to(
    cluster: Cluster, study: Study, choose: Callable[[Sequence[Item]], Choice], *, yes: bool
) -> None:
    """One plan, made and submitted under the study's lock.

    So of two people who submit in the same second, the second one sees what the first has
    submitted. While a person thinks, the lock is free: else a prompt left open over lunch would
    block everybody. The price is that the plan may be out of date when the answer comes. So it is
    made again if it is older than a minute or if anybody has submitted since; then, of the runs
    agreed to, only those are submitted that still need it.
    """
    folder = submissions_folder(cluster.places.runs, study.name)
    with alone(folder, _print) as lock:
        recover(folder)
        plan, planned_at = Plan(study, cluster.places.runs), time.monotonic()
        warn(plan.damage)
        choice = choose(plan.items)
        _show(plan, choice, cluster)
        refuse_without_weights(choice, cluster, study)
        if not choice.to_submit:
            _print("nothing to submit")
            return
        if yes:
            _send(plan, choice, cluster, lock)
            return
        before = set(folder.iterdir())
    if not agrees("Submit?"):
        return
    with alone(folder, _print) as lock:
        if time.monotonic() - planned_at > FRESH_S or set(folder.iterdir()) != before:
            recover(folder)
            plan = Plan(study, cluster.places.runs)
            agreed = {item.task.run_id for item in choice.to_submit}
            choice = choose([item for item in plan.items if item.task.run_id in agreed])
        _send(plan, choice, cluster, lock)


def refuse_without_weights(choice: Choice, cluster: Cluster, study: Study) -> None:
    """Rather than in every job, hours later. A profile's own `setup` may point elsewhere."""
    tasks = [item.task for item in choice.to_submit]
    refuse_without_generators(study, tasks, cluster.places)
    if any("HF_" in line for line in cluster.profile.setup):
        return
    refuse_without_checkpoints(tasks, cluster.places)
    if names := missing(tasks, cluster.places):
        path = quote(str(study.path))
        raise UserError(f"the weights of {', '.join(names)} are not here: run `petl fetch {path}`")


def print_scripts(study: Study, cluster: Cluster) -> None:
    plan = Plan(study, cluster.places.runs)
    warn(plan.damage)
    for batch in batches(choose(plan.items, cluster.profile), cluster.profile):
        submission = intended(plan, batch, cluster)
        for chunk, array in enumerate(arrays(submission, cluster, plan.in_queue())):
            echo(f"# {submission.script(chunk)}\n{job_script(cluster.profile, array)}")


def _show(plan: Plan, choice: Choice, cluster: Cluster) -> None:
    _print(difference(choice, plan.counts()))
    for hint in hints(choice.never):
        _print(hint)
    if plan.trouble:
        _print(f"warning: {plan.trouble}")
    if choice.to_submit:
        made = [intended(plan, batch, cluster) for batch in batches(choice, cluster.profile)]
        jobs = several(sum(one.size(chunk) for one in made for chunk in one.chunks), "job")
        in_arrays = several(sum(len(one.chunks) for one in made), "array")
        hours = gpu_hours(plan, choice.to_submit, cluster.profile)
        _print(f"{jobs} in {in_arrays} on {cluster.name}; {hours}")
        if cluster.code and (note := mixing(plan, cluster.code.code)):
            _print(note)


def _send(plan: Plan, choice: Choice, cluster: Cluster, lock: Claim) -> None:
    again = f"`petl submit {quote(str(plan.study.path))}`"
    with interruptible(f"{again} submits only the rest"):
        submissions = submit(plan, batches(choice, cluster.profile), cluster, lock)
    if not submissions:
        _print("nothing left to submit: by now these runs are done, queued or running")
    for submission in submissions:
        numbers = ", ".join(submission.job_numbers.values())
        _print(f"submitted {several(len(submission.record.runs), 'run')}: array {numbers}")
    _print(f"`petl status {quote(str(plan.study.path))}` shows how far they are")


def _print(line: str) -> None:
    console().print(line, soft_wrap=True)
