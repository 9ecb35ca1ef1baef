"""What the commands on jobs have in common."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from petl.errors import UserError

if TYPE_CHECKING:
    from slurm.plan import Item, Plan

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[STUDY] [FIELD=VALUE]...",
        help="Such as experiments/table1.yaml method=conformer-* fold=0-2 state=failed.",
    ),
]
ClusterName = Annotated[
    str | None,
    typer.Option("--cluster", metavar="PROFILE", help="A name or a file [PETL_CLUSTER]."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def agrees(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UserError("nobody here to ask: --yes goes ahead without")
    return typer.confirm(question)


def plans_of(words: Sequence[str] | None, runs: Path) -> tuple[list[Plan], list[Item]]:
    from slurm.plan import Plan
    from slurm.selection import chosen, studies

    named, rest = studies(words or [], runs)
    plans = [Plan(study, runs) for study in named]
    return plans, chosen(plans, rest)
