"""What petl has asked of Slurm, written down before it asks.

    runs/<study>/slurm/
      submit.json         who is submitting now: one process at a time
      <token>/            one submission: one or more arrays whose jobs all ask for the same
        submission.json   its record: which runs, in which arrays; written before sbatch is called
        manifest.jsonl    the tasks
        chunk-0.sh        the script of array 0
        arrays.jsonl      the job number of each array, or that it was abandoned
        cancelled.jsonl   jobs that `petl cancel` took out of the queue; Slurm may forget them
        123_4_0_log.out   what job 123_4 printed

The token is part of every array's name. So even when petl dies between sbatch and writing down the
job number, the next submit finds the array in the queue by its name and adopts it. An array that
it does not find is abandoned for good: should it turn up later, its jobs read that and exit.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from petl.errors import UserError, reason
from petl.files import json_lines, read_regular, write_atomic, write_json
from petl.runs.directory import RunDir
from slurm.manifest import repeated_record
from slurm.record import (
    ABANDONED,
    ARRAY,
    CANCELLED,
    RECORD,
    ArrayTask,
    Record,
    read_rows,
)


@dataclass(frozen=True)
class Submission:
    """Its arrays are numbered 0, 1, ... (`chunk`), its runs by their line in the manifest."""

    folder: Path
    record: Record
    wrong: str = ""
    """What is wrong with submission.json; then the record is the one in the manifest."""

    @classmethod
    def new(cls, folder: Path, record: Record) -> Submission:
        """With a new token, and nothing on disk yet."""
        return cls(folder / f"{time.strftime('%y%m%d-%H%M')}-{secrets.token_hex(3)}", record)

    @classmethod
    def read(cls, folder: Path) -> Submission:
        file = folder / "submission.json"
        try:
            return cls(folder, RECORD.validate_json(read_regular(file)))
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            what = ": ".join([*map(str, problem["loc"]), problem["msg"].lower()])
        except OSError as error:
            what = reason(error)
        with suppress(ValidationError):
            record = RECORD.validate_python(repeated_record(folder / "manifest.jsonl"))
            return cls(folder, record, f"{file}: {what}; read from manifest.jsonl instead")
        raise UserError(
            f"{file}: {what}; petl leaves this submission out, and its runs count as not "
            f"submitted: `squeue --name={_prefix(folder)}-0` shows its jobs"
        )

    def write(self) -> None:
        """From here on the next submit takes care of it, whatever happens to this one."""
        write_json(self.folder / "submission.json", asdict(self.record))

    # --- files

    @property
    def manifest(self) -> Path:
        return self.folder / "manifest.jsonl"

    @property
    def arrays_file(self) -> Path:
        return self.folder / "arrays.jsonl"

    @property
    def cancelled_file(self) -> Path:
        return self.folder / "cancelled.jsonl"

    def script(self, chunk: int) -> Path:
        return self.folder / f"chunk-{chunk}.sh"

    def log(self, job: str) -> Path:
        """What the job `123_4` printed."""
        return self.folder / f"{job}_0_log.out"

    # --- which run is in which job of which array

    @property
    def in_chunk(self) -> int:
        return self.record.per_job * self.record.per_array

    @property
    def chunks(self) -> range:
        return range(-(-len(self.record.runs) // self.in_chunk))

    def size(self, chunk: int) -> int:
        """How many jobs the array has."""
        runs = min(self.in_chunk, len(self.record.runs) - chunk * self.in_chunk)
        return -(-runs // self.record.per_job)

    def name(self, chunk: int) -> str:
        return f"{_prefix(self.folder)}-{chunk}"

    @property
    def names(self) -> list[str]:
        return [self.name(chunk) for chunk in self.chunks]

    def array_task(self, index: int) -> ArrayTask:
        """The job that works on a line of the manifest."""
        chunk, rest = divmod(index, self.in_chunk)
        return ArrayTask(self.name(chunk), rest // self.record.per_job)

    def indices(self, chunk: int, task_id: int) -> list[int]:
        """The lines of the manifest that one job works on."""
        first = chunk * self.in_chunk + task_id * self.record.per_job
        last = min(first + self.record.per_job, len(self.record.runs), (chunk + 1) * self.in_chunk)
        return list(range(first, last))

    def has_failed(self, run: RunDir) -> bool:
        """Since this submission, by the file server's clock alone: those of nodes differ."""
        try:
            failed_at = run.failure_file.stat().st_mtime
        except FileNotFoundError:
            return False
        return failed_at >= self._written.stat().st_mtime

    # --- what became of each array

    def note(self, chunk: int, job: str | None) -> None:
        """Its job number, or None: abandoned."""
        known = self.arrays | {chunk: job or ABANDONED}
        rows = [{"chunk": chunk, "job": job} for chunk, job in known.items()]
        write_atomic(self.arrays_file, json_lines(rows))  # anew, without damaged lines
        self.__dict__.pop("arrays", None)

    @cached_property
    def arrays(self) -> dict[int, str]:
        """By chunk, its job number or ABANDONED. One that is missing here is not known."""
        rows, _ = read_rows(self.arrays_file, ARRAY)
        return {row["chunk"]: row["job"] for row in rows}

    def was_abandoned(self, chunk: int) -> bool:
        return self.arrays.get(chunk) == ABANDONED

    @property
    def job_numbers(self) -> dict[int, str]:
        return {chunk: job for chunk, job in self.arrays.items() if job != ABANDONED}

    @cached_property
    def cancelled(self) -> set[str]:
        rows, _ = read_rows(self.cancelled_file, CANCELLED)
        return {job for row in rows for job in row["jobs"]}

    def damage(self) -> list[str]:
        """A line for each damaged file: what it tells, the manifest or Slurm's queue tells too."""
        arrays, cancelled = (
            read_rows(self.arrays_file, ARRAY),
            read_rows(self.cancelled_file, CANCELLED),
        )
        troubles = {self.arrays_file: arrays[1], self.cancelled_file: cancelled[1]}
        lines = [f"{file}: {what}; ignored" for file, what in troubles.items() if what]
        return [*filter(None, [self.wrong]), *lines]

    def is_mine(self) -> bool:
        """Who wrote the record, by the file system: the record itself may name anybody."""
        return self._written.stat().st_uid == os.getuid()

    @property
    def _written(self) -> Path:
        """The file that the record is from."""
        return self.manifest if self.wrong else self.folder / "submission.json"

    def job(self, index: int) -> str | None:
        """`123_4`, where the number is known."""
        array = self.job_numbers.get(index // self.in_chunk)
        return f"{array}_{self.array_task(index).task_id}" if array else None

    def submitted_at(self) -> str:
        return datetime.fromtimestamp(self.record.when).strftime("%Y-%m-%d %H:%M")


def _prefix(folder: Path) -> str:
    """Of its arrays' names."""
    study = re.sub(r"[^\w.-]", "_", folder.parent.parent.name)
    return f"petl-{study}-{folder.name}"


class Attempt(NamedTuple):
    """A run in a submission."""

    submission: Submission
    line: int
    """The run's line in the manifest."""

    @property
    def array_task(self) -> ArrayTask:
        return self.submission.array_task(self.line)

    @property
    def chunk_and_task(self) -> tuple[int, int]:
        """The number of the array in its submission, and of the job in the array."""
        return self.line // self.submission.in_chunk, self.array_task.task_id

    @property
    def job(self) -> str | None:
        return self.submission.job(self.line)


def read_submissions(folder: Path) -> tuple[list[Submission], list[str]]:
    """The readable ones, the oldest first, and a line for each damaged file."""
    known, damage = list[Submission](), list[str]()
    try:
        folders = sorted(folder.iterdir())
    except FileNotFoundError:
        return [], []
    except OSError as error:
        return [], [f"{folder}: {reason(error)}; petl leaves out what was submitted from here"]
    for path in filter(has_record, folders):
        try:
            known.append(Submission.read(path))
        except UserError as error:
            damage.append(str(error))
        else:
            damage += known[-1].damage()
    known.sort(key=lambda submission: (submission.record.when, submission.folder.name))
    return known, damage


def has_record(folder: Path) -> bool:
    """Readable or not; only without one is it certain that sbatch was never called."""
    try:
        (folder / "submission.json").lstat()
    except OSError as error:
        return not isinstance(error, FileNotFoundError | NotADirectoryError)
    return True


def submissions(folder: Path) -> list[Submission]:
    return read_submissions(folder)[0]


def attempts(known: Iterable[Submission]) -> dict[str, list[Attempt]]:
    """By run id, the oldest first, without those in abandoned arrays."""
    by_run: dict[str, list[Attempt]] = {}
    for submission in known:
        for index, run in enumerate(submission.record.runs):
            if not submission.was_abandoned(index // submission.in_chunk):
                by_run.setdefault(run, []).append(Attempt(submission, index))
    return by_run


def submissions_folder(runs: Path, study: str) -> Path:
    return runs / study / "slurm"
