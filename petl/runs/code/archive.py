"""The code as one archive: made, kept among the runs, found again.

The archive is the same, byte by byte, wherever the same files are packed. Its SHA-256 is its name
and travels by a way that others cannot change: in the job's command line.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import petl
from petl.errors import UserError, reason
from petl.files import read_json, read_regular, write_atomic
from petl.runs.code.checkout import commit_of, image_commit
from petl.runs.code.unpack import LABEL

ROOT = Path(petl.__file__).absolute().parents[1]
"""A checkout, the environment's packages, or what a job has unpacked."""
FOLDER = ".code"
"""In the folder of runs. No study is called that: a study's name begins with a letter or digit."""
PROGRAM = ("petl", "slurm")
PRESETS = "experiments/presets.yaml"
KINDS = (".py", ".yaml", ".json", ".safetensors")
PRIVATE = "slurm/clusters"
"""Profiles may name accounts and people; no job reads them."""
SHORT = 16


@dataclass(frozen=True)
class Code:
    """What a result and a submission say about code."""

    archive: str | None
    """The SHA-256 of the archive it was imported from; None if it was not frozen."""
    source: str
    """A hash of the program alone: the same for the same files, frozen or not."""
    commit: str | None
    """With `-dirty` where the files differ from it."""

    @property
    def name(self) -> str:
        """`commit 3f2a91c`, for people."""
        if not self.commit:
            return f"code {self.source[:7]}"
        dirty = ", with changes" if self.commit.endswith("-dirty") else ""
        return f"commit {self.commit[:7]}{dirty}"


class Frozen(NamedTuple):
    """An archive on the disk, and what its bytes must be."""

    path: Path
    code: Code

    @property
    def word(self) -> str:
        """For a command line (petl/runs/code/unpack.py)."""
        return json.dumps({"path": str(self.path), **asdict(self.code)})


class CodeArchive(NamedTuple):
    """In memory."""

    data: bytes
    code: Code
    diff: bytes

    def at(self, runs: Path) -> Frozen:
        return Frozen(archive_path(runs, str(self.code.archive)), self.code)

    def keep(self, runs: Path) -> Frozen:
        """Write it, and the difference from its commit, unless they are there already."""
        frozen = self.at(runs)
        folder, diff = frozen.path.parent, frozen.path.with_suffix(".diff")
        try:
            runs.mkdir(parents=True, exist_ok=True)
            mode = stat.S_IMODE(runs.stat().st_mode)  # whoever works in there needs it
            if folder.is_symlink():
                raise UserError(f"{folder}: a link, and petl keeps code only in a real folder")
            if not folder.is_dir():
                folder.mkdir(exist_ok=True)
                folder.chmod(mode)
            if not _holds(frozen.path, self.data):
                _write(frozen.path, self.data, mode)
            with suppress(OSError):  # somebody else's
                os.utime(frozen.path)  # in use again, for `petl clean`
            if self.diff and not os.path.lexists(diff):
                _write(diff, self.diff, mode)
        except OSError as error:
            raise UserError(f"{error.filename or frozen.path}: {reason(error)}") from None
        return frozen


def build(root: Path = ROOT) -> CodeArchive:
    """The code as it is now in a checkout or in installed packages."""
    files = _files(root)
    data = _zip(files)
    commit, diff = _commit(root, files)
    archive = hashlib.sha256(data).hexdigest()
    return CodeArchive(data, Code(archive, _source(files), commit), diff)


@cache
def running() -> Code:
    """The code that this process imports, as it was when this was first asked."""
    if (label := read_json(ROOT / LABEL)) is not None:
        return Code(**label)
    files = _files(ROOT)
    return Code(None, _source(files), _commit(ROOT, files)[0])


def archive_path(runs: Path, archive: str) -> Path:
    return runs / FOLDER / f"{archive[:SHORT]}.zip"


def diff_path(runs: Path, archive: str) -> Path:
    return archive_path(runs, archive).with_suffix(".diff")


def find(runs: Path, code: Code) -> Frozen:
    """The archive of this code among the runs, unchecked: whoever unpacks it checks it."""
    if code.archive is None:
        raise UserError(f"{code.name} was not frozen: nothing but its commit is known")
    path = archive_path(runs, code.archive)
    if not path.is_file():
        raise UserError(f"{path}: missing; it is the archive of {code.name}")
    return Frozen(path, code)


def _files(root: Path) -> dict[str, bytes]:
    found = [path for folder in PROGRAM for path in (root / folder).rglob("*")]
    names = {path: path.relative_to(root).as_posix() for path in [*found, root / PRESETS]}
    return {
        name: path.read_bytes()
        for path, name in sorted(names.items(), key=lambda item: item[1])
        if path.suffix in KINDS
        and not any(part.startswith((".", "__pycache__")) for part in name.split("/"))
        and not name.startswith(PRIVATE)
        and path.is_file()
    }


def _zip(files: Mapping[str, bytes]) -> bytes:
    """Stored, not compressed: versions of zlib compress to different bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as packed:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # of 1980-01-01
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            packed.writestr(entry, content)
    return buffer.getvalue()


def _source(files: Mapping[str, bytes]) -> str:
    """Presets are left out: who adds one has changed no program, and tasks hold their values."""
    program = {name: content for name, content in files.items() if name != PRESETS}
    sums = (f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in program.items())
    return hashlib.sha256("\n".join(sums).encode()).hexdigest()


def _commit(root: Path, files: Mapping[str, bytes]) -> tuple[str | None, bytes]:
    if known := image_commit():
        return known, b""
    return commit_of(root, files, (*PROGRAM, PRESETS, f":(exclude){PRIVATE}"))


def _holds(path: Path, data: bytes) -> bool:
    """If not, it is damaged, or somebody has changed it: then it is written again."""
    try:
        found = path.lstat()  # a job follows no link
        same = stat.S_ISREG(found.st_mode) and found.st_size == len(data)
        return same and read_regular(path) == data
    except OSError:
        return False


def _write(path: Path, data: bytes, mode: int) -> None:
    write_atomic(path, data)
    path.chmod(mode & 0o644)
