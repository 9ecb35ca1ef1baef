"""Which code jobs import: that of now, that of when they start, or their image's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from petl.errors import UserError
from petl.runs.code.archive import CodeArchive, Frozen, build
from slurm.submit.container import image
from slurm.submit.profile import Profile

CodeChoice = Annotated[
    Literal["frozen", "current"] | None,
    typer.Option(
        help="Run this code as it is now, or as it is when each job starts "
        "[frozen; in an image the image's own].",
    ),
]


def for_cluster(choice: str | None, name: str, profile: Profile) -> CodeArchive | None:
    """None where jobs import what they find: the checkout, or the image's code."""
    in_image = image(profile) is not None
    if in_image and choice == "current":
        raise UserError(
            f"--code current: jobs of {name} run in an image and use its code; "
            "leave the option out, or give them the code from here with --code frozen"
        )
    current = choice == "current" or (in_image and choice is None)
    return None if current else build()


def for_here(choice: str | None, runs: Path) -> Frozen | None:
    return None if choice == "current" else build().keep(runs)
