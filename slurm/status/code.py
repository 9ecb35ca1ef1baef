"""Runs of a study whose code is another one than what is here."""

from __future__ import annotations

from collections.abc import Iterator

from petl.errors import several
from petl.runs.code.archive import Code, running
from slurm.record import ArrayTask
from slurm.status.plan import Item, Plan
from slurm.submission import Submission


def queued_with_other_code(plan: Plan) -> Iterator[str]:
    """A line for each submission whose queued jobs will not run what is here."""
    jobs: dict[str, tuple[Submission, set[ArrayTask]]] = {}
    for item in plan.items:
        if item.kind == "pending" and item.attempts:
            last = item.attempts[-1]
            made = jobs.setdefault(last.submission.folder.name, (last.submission, set()))
            made[1].add(last.array_task)
    for submission, tasks in jobs.values():
        code = submission.record.code
        if code and code.source != running().source:
            here = "this checkout" if running().commit else "what is installed here"
            jobs_run = f"{several(len(tasks), 'queued job')} {'runs' if len(tasks) == 1 else 'run'}"
            when = submission.submitted_at()
            yield f"{jobs_run} the code submitted at {when} ({code.name}), not {here}"


def mixing(plan: Plan, code: Code) -> str:
    """What to know before runs of this study are made with this code; mostly nothing."""
    others = [source for item in plan.items if (source := _source(item))]
    if not (number := sum(source != code.source for source in others)):
        return ""
    has = "has" if number == 1 else "have"
    return (
        f"{several(number, 'run')} of this study {has} other code than {code.name}; "
        "`petl table` marks cells that mix codes"
    )


def _source(item: Item) -> str | None:
    """What a finished run was made with, or an unfinished one was last submitted with."""
    if item.kind == "done" or not item.attempts:
        return item.source
    code = item.attempts[-1].submission.record.code
    return code.source if code else None
