"""The command on settings: schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from petl.errors import UserError, reason
from petl.terminal import echo


def schema(
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there.")] = None,
) -> None:
    """Print the JSON Schema of a study: with it an editor completes and checks one as you type.

    \b
    Example:
      petl schema --out experiments/study.schema.json
    """
    from petl.config.schema import study_schema
    from petl.files import write_atomic

    text = json.dumps(study_schema(), indent=1, ensure_ascii=False) + "\n"
    if out is None:
        echo(text, nl=False)
        return
    try:
        write_atomic(out, text.encode())
    except OSError as error:
        raise UserError(f"{out}: {reason(error)}") from None
