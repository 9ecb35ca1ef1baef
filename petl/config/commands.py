"""`petl schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from petl.terminal import echo


def schema(
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write to this file.")] = None,
) -> None:
    """Print the JSON Schema of a study. With it an editor completes and checks one as you type.

    \b
    Example:
      petl schema --out experiments/study.schema.json
    """
    from petl.config.schema import study_schema
    from petl.files import write_output

    text = json.dumps(study_schema(), indent=1, ensure_ascii=False) + "\n"
    if out is None:
        echo(text, nl=False)
        return
    write_output(out, text.encode())
