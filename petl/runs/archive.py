"""The archive of a study: finished runs in two files instead of a folder each.

    runs/<study>/packed/
      <token>.jsonl   a head, then a line for each run: what `status` and `analysis` read of it
      <token>.data    the files of the runs, one after the other, byte for byte
      claim.json      the process that is packing now

A pair of files never changes. It counts from the moment its .jsonl is there, which is written last,
until the head of another pair says that it replaces this one. The head holds the position of each
run's line, and each of the settings that thousands of runs share once.

It is not a zip file, because Python takes 2.4 seconds to open one with 400,000 members.
"""

from __future__ import annotations

import json
import os
import secrets
import weakref
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypedDict

from pydantic_core import from_json

from petl.errors import UserError
from petl.runs.result import SCHEMA as RESULT_SCHEMA
from petl.runs.result import Result, Summary, summary

FOLDER, WHAT, SCHEMA = "packed", "petl-ast packed runs", 1
INDEX, DATA, NEW = ".jsonl", ".data", ".new."
OWN = ("fold", "seed")
"""The settings that runs do not share."""


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
    files: list[Piece]
    result: Summary


class Pack:
    """One pair of files, open for reading: when it is replaced, it can be read to the end."""

    def __init__(self, index: Path):
        self.index, self.data = index, index.with_suffix(DATA)
        self._index, self._data = _open(self, index), _open(self, self.data)
        with index.open("rb") as file:
            first = file.readline()
        try:
            head = from_json(first)
            self.replaces: list[str] = head["replaces"]
            self.settings: list[dict[str, Any]] = head["settings"]
            self.lines: dict[str, list[int]] = head["runs"]
            sizes = head["body"], head["data"]
            known = head["what"] == WHAT and head["schema"] == SCHEMA
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{index}: damaged, or not made by petl compact") from None
        if not known:
            raise UserError(f"{index}: packed by a newer version of petl")
        self._body = len(first)
        if (os.fstat(self._index).st_size - self._body, os.fstat(self._data).st_size) != sizes:
            raise UserError(f"{index}: it or its {DATA} is incomplete; restore both from a backup")
        self.size: int = sizes[1]
        self._text = b""

    def line(self, run_id: str) -> Line:
        """The first call reads the whole index: most readers ask for most runs."""
        if not self._text:
            size = os.fstat(self._index).st_size - self._body
            self._text = _pread(self._index, size, self._body)
        offset, size = self.lines[run_id]
        line: Line = from_json(self._text[offset : offset + size])
        return line

    def task(self, run_id: str) -> dict[str, Any]:
        line = self.line(run_id)
        return {**self.settings[line["settings"]], "fold": line["fold"], "seed": line["seed"]}

    def files(self, run_id: str) -> dict[str, Piece]:
        return {name: Piece(name, *rest) for name, *rest in self.line(run_id)["files"]}

    def read(self, piece: Piece) -> bytes:
        content = _pread(self._data, piece.size, piece.offset)
        if zlib.crc32(content) != piece.crc:
            at = f"{piece.name} at byte {piece.offset}"
            raise UserError(f"{self.data}: {at} is damaged; restore this file from a backup")
        return content

    def remove(self) -> None:
        self.index.unlink(missing_ok=True)  # first: without it the data does not count
        self.data.unlink(missing_ok=True)


class Archive:
    """All packed runs of a study: the pack that holds each run, by its id."""

    def __init__(self, indices: Sequence[Path] = ()):
        packs = [Pack(index) for index in indices]
        replaced = {token for pack in packs for token in pack.replaces}
        self.packs = [pack for pack in packs if pack.index.stem not in replaced]
        self.replaced = [pack for pack in packs if pack.index.stem in replaced]
        self.unreadable: list[tuple[Path, str]] = []
        """Packs that cannot be read, and why."""
        self.of = {run_id: pack for pack in self.packs for run_id in pack.lines}

    def __iter__(self) -> Iterator[str]:
        return iter(self.of)

    def __len__(self) -> int:
        return len(self.of)

    def __contains__(self, run_id: object) -> bool:
        return run_id in self.of

    def result(self, run_id: str) -> Summary:
        pack = self.of[run_id]
        result = pack.line(run_id)["result"]
        if result.get("schema") != RESULT_SCHEMA:
            raise UserError(f"{pack.index}: run {run_id} is of another version")
        return result

    def task(self, run_id: str) -> dict[str, Any]:
        return self.of[run_id].task(run_id)

    def file(self, run_id: str, name: str) -> bytes | None:
        """The bytes of a run's file, if the run is packed and has it."""
        if (pack := self.of.get(run_id)) is None:
            return None
        piece = pack.files(run_id).get(name)
        return pack.read(piece) if piece else None

    def damage(self, run_id: str) -> Iterator[tuple[Path, str]]:
        """Of a packed run: the file, and what is damaged in it."""
        if (pack := self.of.get(run_id)) is None:
            return
        for piece in pack.files(run_id).values():
            try:
                pack.read(piece)
            except UserError as error:
                yield pack.data, str(error)


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
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    weakref.finalize(owner, os.close, descriptor)
    return descriptor


def _pread(descriptor: int, size: int, offset: int) -> bytes:
    """Up to `size` bytes. One call of the system reads 2 GB at most."""
    parts = []
    while size > 0 and (part := os.pread(descriptor, min(size, 2**30), offset)):
        parts.append(part)
        size, offset = size - len(part), offset + len(part)
    return b"".join(parts)


# --- writing --------------------------------------------------------------------------------------


class Writer:
    """A new pair of files. Nothing is left of it unless `finish` is called."""

    def __init__(self, folder: Path):
        self.folder, self.token = folder, secrets.token_hex(8)
        self.lines: dict[str, bytes] = {}
        self.settings: dict[bytes, int] = {}
        self.replaces: list[str] = []
        self.size = 0
        self.data: BinaryIO

    def __enter__(self) -> Writer:
        self.data = self._new(DATA).open("wb")
        return self

    def __exit__(self, *error: object) -> None:
        self.data.close()
        for kind in (DATA, INDEX):
            self._new(kind).unlink(missing_ok=True)

    def add(self, result: Result, files: Iterable[tuple[str, bytes]]) -> None:
        self._add(result["run_id"], result["task"], summary(result), files)

    def replace(self, pack: Pack, runs: Iterable[str]) -> None:
        """Copy these runs from an older pair, which does not count from then on."""
        self.replaces.append(pack.index.stem)
        for run_id in runs:
            files = ((name, pack.read(piece)) for name, piece in pack.files(run_id).items())
            self._add(run_id, pack.task(run_id), pack.line(run_id)["result"], files)

    def _add(
        self, run_id: str, task: dict[str, Any], result: Summary, files: Iterable[tuple[str, bytes]]
    ) -> None:
        shared = _json({name: part for name, part in task.items() if name not in OWN})
        line = Line(
            run=run_id,
            settings=self.settings.setdefault(shared, len(self.settings)),
            fold=task["fold"],
            seed=task["seed"],
            files=[self._append(name, content) for name, content in files],
            result=result,
        )
        self.lines[run_id] = _json(line) + b"\n"

    def _append(self, name: str, content: bytes) -> Piece:
        self.data.write(content)
        piece = Piece(name, self.size, len(content), zlib.crc32(content))
        self.size += len(content)
        return piece

    def finish(self) -> None:
        """Make the pair count, on the disk too."""
        if not self.lines:
            return
        _flush(self.data)
        with self._new(INDEX).open("wb") as index:
            index.write(self._head())
            index.writelines(self.lines.values())
            _flush(index)
        for kind in (DATA, INDEX):
            self._new(kind).rename(self.folder / f"{self.token}{kind}")
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _head(self) -> bytes:
        position, body = {}, 0
        for run_id, line in self.lines.items():
            position[run_id] = [body, len(line)]
            body += len(line)
        head = {
            "what": WHAT,
            "schema": SCHEMA,
            "replaces": self.replaces,
            "data": self.size,
            "body": body,
            "settings": [json.loads(text) for text in self.settings],
            "runs": position,
        }
        return _json(head) + b"\n"

    def _new(self, kind: str) -> Path:
        return self.folder / f"{NEW}{self.token}{kind}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=True).encode()


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
