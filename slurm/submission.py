"""What has been asked of the scheduler, written down before it is asked.

    runs/<study>/slurm/
      submit.json         who is submitting now: one at a time
      <token>/            one submission
        submission.json   which runs, in which arrays: the intention, written first
        manifest.jsonl    the tasks
        chunk-0.sh, .pkl  one array's script, and what its jobs call
        arrays.jsonl      what became of each chunk: its job number, or that it was given up
        cancelled.jsonl   jobs that somebody took out of the queue: Slurm itself may forget them
        123_4_0_log.out   what job 123_4 printed

The token is part of every array's name, so the scheduler knows whose it is even when the submitter
died before it could write down the number. A chunk that was given up stays so: jobs of it that turn
up later find that in arrays.jsonl and leave.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from petl.files import append_json_line, read_json_lines, write_json
from petl.runs.directory import RunDir

GIVEN_UP = "given up"


class Place(NamedTuple):
    """An element of an array as both sides name it: the array's name and the number in it."""

    array: str
    element: int


@dataclass(frozen=True)
class Intention:
    """submission.json."""

    study: str
    """The study's file, as it was named."""
    cluster: str
    """The profile, likewise."""
    user: str
    host: str
    when: float
    mem_gb: float
    gpus: int
    per_job: int
    per_array: int
    """Jobs in each array but the last."""
    side_by_side: int
    fruitless_requeues: int
    hold_after: int
    runs: tuple[str, ...]
    """Run ids, in the order of the manifest."""


@dataclass(frozen=True)
class Submission:
    folder: Path
    said: Intention

    @classmethod
    def new(cls, folder: Path, said: Intention) -> Submission:
        """With a token of its own, and nothing on disk yet."""
        return cls(folder / f"{time.strftime('%y%m%d-%H%M')}-{secrets.token_hex(3)}", said)

    @classmethod
    def read(cls, folder: Path) -> Submission:
        said = json.loads((folder / "submission.json").read_bytes())
        return cls(folder, Intention(**said | {"runs": tuple(said["runs"])}))

    def declare(self) -> None:
        """From here on the next submitter will look after it."""
        write_json(self.folder / "submission.json", asdict(self.said))

    # --- its parts

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

    def pickle(self, chunk: int) -> Path:
        return self.folder / f"chunk-{chunk}.pkl"

    def log(self, job: str) -> Path:
        """What the job `123_4` printed."""
        return self.folder / f"{job}_0_log.out"

    @property
    def chunks(self) -> int:
        return -(-len(self.said.runs) // (self.said.per_job * self.said.per_array))

    @property
    def in_chunk(self) -> int:
        return self.said.per_job * self.said.per_array

    def elements(self, chunk: int) -> int:
        """How many jobs the array has."""
        tasks = min(self.in_chunk, len(self.said.runs) - chunk * self.in_chunk)
        return -(-tasks // self.said.per_job)

    def name(self, chunk: int) -> str:
        study = re.sub(r"[^\w.-]", "_", self.folder.parent.parent.name)
        return f"petl-{study}-{self.folder.name}-{chunk}"

    @property
    def names(self) -> list[str]:
        return [self.name(chunk) for chunk in range(self.chunks)]

    def place(self, index: int) -> Place:
        """Where the run with this place in the manifest is worked on."""
        chunk, rest = divmod(index, self.in_chunk)
        return Place(self.name(chunk), rest // self.said.per_job)

    def indices(self, chunk: int, element: int) -> list[int]:
        """The places in the manifest that one job of an array stands for."""
        first = chunk * self.in_chunk + element * self.said.per_job
        last = min(first + self.said.per_job, len(self.said.runs), (chunk + 1) * self.in_chunk)
        return list(range(first, last))

    def has_failed(self, run: RunDir) -> bool:
        """Since this submission: by the file server's clock alone, for those of nodes differ."""
        try:
            failed_at = run.failure_file.stat().st_mtime
        except FileNotFoundError:
            return False
        return failed_at >= (self.folder / "submission.json").stat().st_mtime

    def started(self) -> str:
        return datetime.fromtimestamp(self.said.when).strftime("%Y-%m-%d %H:%M")

    # --- what became of each chunk

    def note(self, chunk: int, job: str | None) -> None:
        append_json_line(self.arrays_file, {"chunk": chunk, "job": job or GIVEN_UP})
        self.__dict__.pop("arrays", None)

    @cached_property
    def arrays(self) -> dict[int, str | None]:
        """Each chunk's job number, or None if it was given up; what is not in here is not known."""
        return arrays_in(self.arrays_file)

    @cached_property
    def cancelled(self) -> set[str]:
        return {job for row in read_json_lines(self.cancelled_file) for job in row["jobs"]}

    def job(self, index: int) -> str | None:
        """`123_4`, where the number is known."""
        array = self.arrays.get(index // self.in_chunk)
        return f"{array}_{self.place(index).element}" if array else None


def arrays_in(file: Path) -> dict[int, str | None]:
    return {
        row["chunk"]: None if row["job"] == GIVEN_UP else row["job"]
        for row in read_json_lines(file)
    }


class Try(NamedTuple):
    """A run's place in a submission."""

    submission: Submission
    at: int


def submissions(folder: Path) -> list[Submission]:
    """The oldest first. One that died before it was declared never was."""
    found = [Submission.read(file.parent) for file in folder.glob("*/submission.json")]
    return sorted(found, key=lambda submission: (submission.said.when, submission.folder.name))


def tries(known: Iterable[Submission]) -> dict[str, list[Try]]:
    """For each run id all its tries that were not given up, the last one last."""
    found: dict[str, list[Try]] = {}
    for submission in known:
        for index, run in enumerate(submission.said.runs):
            if submission.arrays.get(index // submission.in_chunk, "") is not None:
                found.setdefault(run, []).append(Try(submission, index))
    return found


def undeclared(folder: Path) -> Iterator[Path]:
    """Folders whose submitter died before anything was asked of the scheduler."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and not (path / "submission.json").exists():
            yield path
