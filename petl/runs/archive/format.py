"""The archive of a study: finished runs in two files instead of a folder each.

    runs/<study>/packed/
      <token>.jsonl   a head, then a line for each run: what `status` and `analysis` read of it
      <token>.data    the files of the runs, one after the other, byte for byte
      claim.json      the process that is packing now

A pair of files never changes. It counts from the moment its .jsonl is there, which is written last,
until the head of another pair says that it replaces this one. The head holds the position and the
checksum of each run's line, and each of the settings that thousands of runs share once.

Somebody else of the group may have written it, and disks fail: ids and names are checked before
they become paths, and damage concerns one run, or one pair of files, not the study.

It is not a zip file, because Python takes 2.4 seconds to open one with 400,000 members.
"""

from __future__ import annotations

import os
import re
import stat
import weakref
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter
from typing_extensions import NotRequired, TypedDict

from petl.errors import UserError, reason
from petl.runs.result import Summary

RUN_ID = re.compile(r"[0-9a-f]{16}")
FOLDER, WHAT, SCHEMA = "packed", "petl-ast packed runs", 1
INDEX, DATA, NEW = ".jsonl", ".data", ".new."
OWN = ("fold", "seed")
"""The settings that runs do not share."""
LEVELS = 16
"""Of folders in a run: trackers make three."""
RESTORE = "restore it from a backup"


class Damaged(UserError):
    """A run's line or file in the archive is not what was written."""


class Piece(NamedTuple):
    """A file of a run: where its bytes are in the data, and their checksum."""

    name: str
    offset: int
    size: int
    crc: int


class Line(TypedDict):
    """A run in the index. `settings` is a number in the head's list."""

    run: str
    settings: int
    fold: int
    seed: int
    files: list[tuple[str, int, int, int]]
    """As in Piece."""
    result: Summary


class Head(TypedDict):
    what: str
    schema: int
    replaces: list[str]
    settings: list[dict[str, Any]]
    runs: dict[str, tuple[int, int]]
    """Offset and size of each run's line after the head."""
    sums: NotRequired[dict[str, int]]
    """The lines' checksums; older pairs have none."""


_line, _head = TypeAdapter(Line), TypeAdapter(Head)
SUM = b',"sum":'
"""Ends the head, with the checksum of what is before."""


class Pack:
    """One pair of files, open for reading: when it is replaced, it can be read to the end."""

    def __init__(self, index: Path):
        self.index, self.data = index, index.with_suffix(DATA)
        self._index, self._data = _open(self, index), _open(self, self.data)
        with os.fdopen(os.dup(self._index), "rb") as file:
            first = file.readline()
        before, _, number = first.rpartition(SUM)
        try:
            head = _head.validate_json(first, strict=True)
            if before and zlib.crc32(before) != int(number.rstrip(b"}\n")):
                raise ValueError
        except ValueError:
            raise Damaged("its first line is damaged, or not made by petl compact") from None
        if (head["what"], head["schema"]) != (WHAT, SCHEMA):
            raise Damaged("packed by a newer version of petl, or not by petl")
        if odd := [run_id for run_id in head["runs"] if not RUN_ID.fullmatch(run_id)]:
            raise Damaged(f"{odd[0]!r:.60} is not the id of a run")
        self.replaces, self.settings = head["replaces"], head["settings"]
        self.lines, self.sums = head["runs"], head.get("sums", {})
        self._body = len(first)
        self.size = os.fstat(self._data).st_size
        self._text = b""

    def line(self, run_id: str) -> Line:
        """The first call reads the whole index: most readers ask for most runs."""
        if not self._text:
            size = os.fstat(self._index).st_size - self._body
            self._text = _pread(self._index, size, self._body)
        offset, size = self.lines[run_id]
        text = self._text[offset : offset + size]
        try:
            if zlib.crc32(text) != self.sums.get(run_id, zlib.crc32(text)):
                raise ValueError
            line = _line.validate_json(text, strict=True)
            if not run_id == line["run"] == line["result"]["run_id"]:
                raise ValueError
            if not 0 <= line["settings"] < len(self.settings):
                raise ValueError
        except ValueError:
            where = f"{self.index}: the line of run {run_id}"
            raise Damaged(f"{where} is damaged; {RESTORE}") from None
        for name, start, size, _ in line["files"]:
            if not (_is_inside(name) and 0 <= start < 2**62 and 0 <= size < 2**62):
                raise Damaged(f"{self.index}: run {run_id} cannot have a file {name!r:.60}")
        return line

    def is_whole(self) -> bool:
        """Can each line be read? The files' contents are not looked at."""
        try:
            return all(map(self.line, self.lines))
        except Damaged:
            return False

    def task(self, run_id: str) -> dict[str, Any]:
        line = self.line(run_id)
        return {**self.settings[line["settings"]], "fold": line["fold"], "seed": line["seed"]}

    def files(self, run_id: str) -> dict[str, Piece]:
        return {piece[0]: Piece(*piece) for piece in self.line(run_id)["files"]}

    def read(self, piece: Piece, check: bool = True) -> bytes:
        content = _pread(self._data, piece.size, piece.offset)
        if check and zlib.crc32(content) != piece.crc:
            at = f"{piece.name} at byte {piece.offset}"
            raise Damaged(f"{self.data}: {at} is damaged; {RESTORE}")
        return content

    def remove(self) -> None:
        self.index.unlink(missing_ok=True)  # first: without it the data does not count
        self.data.unlink(missing_ok=True)


class Archive:
    """All packed runs of a study: the pack that holds each run, by its id."""

    def __init__(self, indices: Sequence[Path] = ()):
        packs = []
        self.unreadable: list[tuple[Path, str]] = []
        """Pairs of files that cannot be read at all, and why."""
        for index in indices:
            try:
                packs.append(Pack(index))
            except (OSError, Damaged) as error:
                if isinstance(error, FileNotFoundError) and not index.exists():
                    raise  # replaced between listing and opening
                self.unreadable.append((index, reason(error)))
        replaced = {token for pack in packs for token in pack.replaces}
        self.packs = [pack for pack in packs if pack.index.stem not in replaced]
        self.replaced = [pack for pack in packs if pack.index.stem in replaced]
        self.of = {run_id: pack for pack in self.packs for run_id in pack.lines}

    def __iter__(self) -> Iterator[str]:
        return iter(self.of)

    def __len__(self) -> int:
        return len(self.of)

    def __contains__(self, run_id: object) -> bool:
        return run_id in self.of

    def result(self, run_id: str) -> Summary | None:
        """None if the run is not packed, or its line is damaged."""
        with suppress(KeyError, Damaged):
            return self.of[run_id].line(run_id)["result"]
        return None

    def task(self, run_id: str) -> dict[str, Any] | None:
        with suppress(KeyError, Damaged):
            return self.of[run_id].task(run_id)
        return None

    def file(self, run_id: str, name: str) -> bytes | None:
        """The bytes of a run's file, if the run is packed and has it."""
        if (pack := self.of.get(run_id)) is None:
            return None
        piece = pack.files(run_id).get(name)
        return pack.read(piece) if piece else None

    def problem(self, run_id: str) -> str:
        """Why the archive does not tell the run's result; empty if it does, or has no such run."""
        if run_id not in self.of:
            return "; ".join(f"{file}: {wrong}" for file, wrong in self.unreadable[:1])
        try:
            self.of[run_id].line(run_id)
        except Damaged as error:
            return str(error)
        return ""

    def damage(self, run_id: str) -> Iterator[tuple[Path, str]]:
        """Of a packed run: the file, and what is damaged in it."""
        if (pack := self.of.get(run_id)) is None:
            return
        try:
            pieces = pack.files(run_id)
        except Damaged:
            yield pack.index, "its line is damaged"
            return
        for piece in pieces.values():
            try:
                pack.read(piece)
            except Damaged:
                yield pack.data, f"{piece.name} at byte {piece.offset} is damaged"


_cache: dict[Path, tuple[list[Path], Archive]] = {}


def archive(study: Path) -> Archive:
    """The archive in a study's folder. Reads it again only when a pair has come or gone."""
    folder = study / FOLDER
    for _ in range(5):
        indices = sorted(path for path in folder.glob(f"*{INDEX}") if path.name[0] != ".")
        if not indices:
            _cache.pop(folder, None)
            return Archive()
        if folder not in _cache or _cache[folder][0] != indices:
            try:
                _cache[folder] = indices, Archive(indices)
            except FileNotFoundError:  # replaced between listing and opening
                continue
        return _cache[folder][1]
    raise UserError(f"{folder}: keeps changing, or a {DATA} is missing beside its {INDEX}")


def _open(owner: object, path: Path) -> int:
    """A descriptor that is closed with its owner."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    weakref.finalize(owner, os.close, descriptor)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise Damaged(f"{path.name} is not a regular file")
    return descriptor


def _is_inside(name: str) -> bool:
    """Is it the path of a file in a run's folder, and of nothing outside?"""
    parts = name.split("/")
    return len(parts) <= LEVELS and all(
        part not in ("", ".", "..") and "\0" not in part and len(part.encode()) < 256
        for part in parts
    )


def _pread(descriptor: int, size: int, offset: int) -> bytes:
    """Up to `size` bytes. One call of the system reads 2 GB at most."""
    parts = []
    while size > 0 and (part := os.pread(descriptor, min(size, 2**30), offset)):
        parts.append(part)
        size, offset = size - len(part), offset + len(part)
    return b"".join(parts)
