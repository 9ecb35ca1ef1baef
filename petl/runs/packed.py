"""Finished runs in two files instead of a folder each, and how they are read.

    runs/<study>/packed/
      <token>.jsonl   a head, then a line for each run: what `status` and `analysis` need of it
      <token>.data    the runs' own files, one after the other, byte for byte
      claim.json      who packs now

A pair never changes. It counts from the moment its .jsonl is there, which comes last, and until
another says that it replaces it. The head's line holds where each run's line is, and each of the
settings once, which thousands of runs share.
"""

from __future__ import annotations

import json
import os
import secrets
import weakref
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pydantic_core import from_json

from petl.errors import UserError
from petl.runs.result import Summary

FOLDER, WHAT, SCHEMA = "packed", "petl-ast packed runs", 1
INDEX, DATA, NEW = ".jsonl", ".data", ".new."
OWN = ("fold", "seed")
"""What of a task is not shared."""


class Piece(NamedTuple):
    """A file of a run: where its bytes are among the data, and their checksum."""

    name: str
    offset: int
    size: int
    crc: int


class Pack:
    """One pair of files."""

    def __init__(self, index: Path):
        self.index, self.data = index, index.with_suffix(DATA)
        self._index, self._data = _opened(self, index), _opened(self, self.data)
        with index.open("rb") as file:
            first = file.readline()
        self.body = len(first)
        try:
            head = from_json(first)
            self.replaces: list[str] = head["replaces"]
            self.settings: list[dict[str, Any]] = head["settings"]
            self.lines: dict[str, list[int]] = head["runs"]
            sizes = head["body"], head["data"]
            whole = head["what"] == WHAT and head["schema"] == SCHEMA
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{index}: is damaged, or not made by petl compact") from None
        if not whole:
            raise UserError(f"{index}: was packed by a newer version of petl")
        have = os.fstat(self._index).st_size - self.body, os.fstat(self._data).st_size
        if have != sizes:
            raise UserError(f"{index}: it or its {DATA} is not whole; take both from a backup")
        self.size = sizes[1]
        self._text: bytes | None = None

    def fetch(self) -> None:
        """Read all lines at once, for who is going to ask for most of them."""
        size = os.fstat(self._index).st_size - self.body
        self._text = _pread(self._index, size, self.body)

    def line(self, run_id: str) -> dict[str, Any]:
        offset, size = self.lines[run_id]
        if self._text is not None:
            text = self._text[offset : offset + size]
        else:
            text = _pread(self._index, size, self.body + offset)
        line: dict[str, Any] = from_json(text)
        return line

    def task(self, run_id: str) -> dict[str, Any]:
        line = self.line(run_id)
        return {**self.settings[line["settings"]], **{name: line[name] for name in OWN}}

    def pieces(self, run_id: str) -> list[Piece]:
        return [Piece(*piece) for piece in self.line(run_id)["files"]]

    def read(self, piece: Piece) -> bytes:
        found = _pread(self._data, piece.size, piece.offset)
        if zlib.crc32(found) != piece.crc:
            at = f"{piece.name} at byte {piece.offset}"
            raise UserError(f"{self.data}: {at} is damaged; take it from a backup")
        return found


class Packs:
    """All that is packed of a study."""

    def __init__(self, indices: Sequence[Path] = ()):
        packs = [Pack(index) for index in indices]
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

    def fetch(self) -> None:
        for pack in self.packs:
            pack.fetch()

    def result(self, run_id: str) -> Summary:
        found: Summary = self.of[run_id].line(run_id)["result"]
        return found

    def task(self, run_id: str) -> dict[str, Any]:
        return self.of[run_id].task(run_id)

    def file(self, run_id: str, name: str) -> bytes | None:
        """The bytes of a run's file, if the run is packed and has it."""
        pack = self.of.get(run_id)
        for piece in pack.pieces(run_id) if pack else ():
            if piece.name == name:
                return pack.read(piece) if pack else None
        return None


_known: dict[Path, tuple[tuple[Path, ...], Packs]] = {}


def packs(study: Path) -> Packs:
    """What is packed in a study's folder. Looks again only if another pair has come or gone."""
    folder = study / FOLDER
    for _ in range(5):
        indices = tuple(_indices(folder))
        if not indices:
            _known.pop(folder, None)
            return Packs()
        if folder not in _known or _known[folder][0] != indices:
            try:
                _known[folder] = indices, Packs(indices)
            except FileNotFoundError:  # replaced between looking and opening
                continue
        return _known[folder][1]
    raise UserError(f"{folder}: changes all the time, or a {DATA} is missing beside its {INDEX}")


def _indices(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob(f"*{INDEX}") if path.name[0] != ".")


def _opened(owner: object, path: Path) -> int:
    """Open as long as its owner lives: a pair that is replaced meanwhile can be read to the end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    weakref.finalize(owner, os.close, descriptor)
    return descriptor


def _pread(descriptor: int, size: int, offset: int) -> bytes:
    """A single read gives 2 GB at most."""
    parts = []
    while size > 0:
        part = os.pread(descriptor, min(size, 2**30), offset)
        if not part:
            break
        parts.append(part)
        size, offset = size - len(part), offset + len(part)
    return b"".join(parts) if len(parts) != 1 else parts[0]


# --- writing --------------------------------------------------------------------------------------


class Writer:
    """A pair of files in the making. Left before `finish`, it leaves nothing."""

    def __init__(self, folder: Path):
        self.folder, self.token = folder, secrets.token_hex(8)
        self.lines: dict[str, bytes] = {}
        self.settings: dict[bytes, int] = {}
        self.replaces: list[str] = []
        self.size = 0
        self.data: BinaryIO

    def __enter__(self) -> Writer:
        self.data = self._aside(DATA).open("wb")
        return self

    def __exit__(self, *error: object) -> None:
        self.data.close()
        for kind in (DATA, INDEX):
            self._aside(kind).unlink(missing_ok=True)

    def add(
        self,
        run_id: str,
        task: dict[str, Any],
        result: Summary,
        files: Iterable[tuple[str, bytes]],
    ) -> None:
        settings = _json({name: part for name, part in task.items() if name not in OWN})
        line = {
            "run": run_id,
            "settings": self.settings.setdefault(settings, len(self.settings)),
            **{name: task[name] for name in OWN},
            "files": [self._append(name, content) for name, content in files],
            "result": result,
        }
        self.lines[run_id] = _json(line) + b"\n"

    def take_over(self, pack: Pack, runs: Iterable[str]) -> None:
        """From an older pair, which will not count any more."""
        self.replaces.append(pack.index.stem)
        for run_id in runs:
            files = ((piece.name, pack.read(piece)) for piece in pack.pieces(run_id))
            self.add(run_id, pack.task(run_id), pack.line(run_id)["result"], files)

    def finish(self) -> None:
        """From here on it counts, on the disk too."""
        if not self.lines:
            return
        _flush(self.data)
        with self._aside(INDEX).open("wb") as index:
            index.write(self._head())
            index.writelines(self.lines.values())
            _flush(index)
        for kind in (DATA, INDEX):
            self._aside(kind).rename(self.folder / f"{self.token}{kind}")
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _head(self) -> bytes:
        where, body = {}, 0
        for run_id, line in self.lines.items():
            where[run_id] = [body, len(line)]
            body += len(line)
        said = {"what": WHAT, "schema": SCHEMA, "replaces": self.replaces, "data": self.size}
        settings = [json.loads(text) for text in self.settings]
        return _json({**said, "body": body, "settings": settings, "runs": where}) + b"\n"

    def _append(self, name: str, content: bytes) -> Piece:
        self.data.write(content)
        piece = Piece(name, self.size, len(content), zlib.crc32(content))
        self.size += len(content)
        return piece

    def _aside(self, kind: str) -> Path:
        return self.folder / f"{NEW}{self.token}{kind}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=True).encode()


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
