"""The files of a submission as types: what each may contain, and reading its lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from petl.config.base import Count
from petl.errors import reason, several
from petl.files import read_regular
from petl.runs.code.archive import Code

ABANDONED = "abandoned"


class ArrayTask(NamedTuple):
    """A job as both petl and Slurm can name it before it has a number."""

    array: str
    """The array's name."""
    task_id: int
    """SLURM_ARRAY_TASK_ID."""


Number = Annotated[float, Field(ge=0, le=1e10)]


@dataclass(frozen=True)
class Record:
    """submission.json."""

    study: str
    """The study's file."""
    cluster: str
    """The profile, as the user named it."""
    user: str
    host: str
    when: Number
    mem_gb: Number
    gpus: int
    per_job: Count
    per_array: Count
    """Jobs in each array but the last."""
    side_by_side: Count
    fruitless_requeues: int
    hold_after: int
    runs: tuple[str, ...]
    """Run ids, in the order of the manifest."""
    code: Code | None = None
    """What its jobs import; None if that is the image's code, or the checkout as it is then."""


class ArrayRow(TypedDict):
    chunk: int
    job: Annotated[str, Field(pattern=rf"^(\d+|{ABANDONED})$")]


class CancelledRow(TypedDict):
    jobs: list[str]


Row = TypeVar("Row")
RECORD = TypeAdapter(Record)
ARRAY, CANCELLED = TypeAdapter(ArrayRow), TypeAdapter(CancelledRow)


def read_rows(file: Path, kind: TypeAdapter[Row]) -> tuple[list[Row], str]:
    """The whole lines of this kind, and what is wrong with the file, if anything."""
    try:
        lines = read_regular(file).split(b"\n")
    except FileNotFoundError:
        return [], ""
    except OSError as error:
        return [], reason(error)
    rows, broken = list[Row](), 0
    for line in filter(None, lines):
        try:
            rows.append(kind.validate_json(line))
        except ValidationError:
            broken += 1
    return rows, f"{several(broken, 'line')} cannot be read" if broken else ""
