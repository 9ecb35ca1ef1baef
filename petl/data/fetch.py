"""Download a public dataset, verify it, unpack it and move it to its folder, in this order.

An interrupted fetch resumes: `ARCHIVE.part` is the beginning of a download, `ARCHIVE` all of it,
and the dataset's folder appears only when it is complete. The standard library does it, because
pooch deletes partial downloads, unpacks links, and would have to be installed on login nodes.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from petl.data.downloads import Download
from petl.errors import UserError, reason
from petl.files import staging
from petl.runs.claim import Claim, RunIsTaken

Tell = Callable[[str, int, "int | None"], None]
"""Called with what is being done, how many bytes are done, and of how many, if that is known."""

BLOCK = 1 << 20
TIMEOUT_S = 60
SLOWEST = 1000
"""Bytes per second, over TIMEOUT_S: a server that sends less would hold a download for ever."""
BROKEN = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError)
UNREADABLE = (RuntimeError, NotImplementedError)
"""What zipfile raises for an encrypted member, and for a compression method it does not know."""
UNPACKED = 1.5
"""The most that an archive grows when unpacked: zip saves at most a third of 16-bit audio."""
BOMB, SMALL = 50, 100_000_000
"""Times its own size: an archive that grows beyond that, and 100 MB, was made to fill the disk."""
DEPTH = 20


@dataclass(frozen=True)
class Fetched:
    files: int
    bytes: int
    checksum: str
    kept: tuple[Path, ...]
    """The archives that the user had downloaded before: petl does not delete them."""


def is_there(folder: Path) -> bool:
    return folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))


def fetch(download: Download, folder: Path, tell: Tell) -> Fetched:
    """The folder must not exist, or be empty."""
    downloads = (download, *download.more)
    archives = {one: folder.parent / one.file for one in downloads}
    kept = tuple(archive for archive in archives.values() if archive.is_file())
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with Claim(folder.with_name(f".{folder.name}.claim")) as claim:

            def alive(doing: str, done: int, total: int | None) -> None:
                claim.touch()
                tell(doing, done, total)

            size, checksums = 0, []
            for one, archive in archives.items():
                if archive not in kept:
                    _download(one.url, archive, alive)
                size += archive.stat().st_size
                checksums.append(_verify(archive, one.checksum, alive))
            files = _unpack([*archives.values()], folder, alive)
            for archive in {*archives.values()} - {*kept}:
                archive.unlink()
    except RunIsTaken:
        raise UserError(f"{folder}: another process is downloading it") from None
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {reason(error)}") from None
    return Fetched(files, size, ", ".join(checksums), kept)


# --- download -------------------------------------------------------------------------------------


def _download(url: str, archive: Path, tell: Tell) -> None:
    """Connect again after each lost connection, unless it brought nothing new."""
    part = archive.with_name(f"{archive.name}.part")
    before = -1
    while not _resume(url, part, tell):
        have = part.stat().st_size if part.exists() else 0
        if have <= before:
            raise UserError(
                f"{url}: connection lost after {have / 1e6:,.1f} MB, which are kept in {part}; "
                "run the same command again to resume"
            )
        before = have
    part.rename(archive)


def _resume(url: str, part: Path, tell: Tell) -> bool:
    """Ask for the rest of the file. True if it is complete now."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "petl"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = urlopen(Request(url, headers=headers), timeout=TIMEOUT_S)
    except HTTPError as error:
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise UserError(f"{url}: {error.code} {error.reason}") from None
        if _range(error.headers)[1] == have:
            return True
        part.unlink()  # it is longer than the file, so it is part of another one
        return False
    except (OSError, ValueError, HTTPException) as error:
        cause = getattr(error, "reason", error)
        raise UserError(f"{url}: {reason(cause)}") from None
    with response:
        begin, total = _range(response.headers)
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            begin = 0  # the server cannot resume and sends all of it
        elif begin != have:
            raise UserError(f"{url}: the server sent the bytes from {begin}, not from {have}")
        _check_space(part.parent, total, begin)
        with part.open("ab" if begin else "wb") as out:
            enough, deadline = begin + SLOWEST * TIMEOUT_S, time.monotonic() + TIMEOUT_S
            while block := _read(response):
                out.write(block)
                begin += len(block)
                tell("downloading", begin, total)
                if begin >= enough:
                    enough, deadline = begin + SLOWEST * TIMEOUT_S, time.monotonic() + TIMEOUT_S
                elif time.monotonic() > deadline:
                    slow = f"slower than {SLOWEST} bytes per second for {TIMEOUT_S} s"
                    raise UserError(f"{url}: {slow}; run the same command again to resume")
            out.flush()
            os.fsync(out.fileno())
    return begin == total if total is not None else block is not None


def _read(response: HTTPResponse) -> bytes | None:
    """The bytes that have come, b"" at the end of the file, None if the connection is lost."""
    try:
        return response.read1(BLOCK)
    except (OSError, HTTPException):
        return None


def _range(headers: Message) -> tuple[int, int | None]:
    """Where the answer begins and how long the whole file is, if the server says so.

    `Content-Range: bytes 5-9/10` or `bytes */10`, else `Content-Length: 10`.
    """
    match = re.match(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", headers.get("Content-Range", ""))
    total = match[2] if match else headers.get("Content-Length", "")
    return int(match[1] or 0) if match else 0, int(total) if total.isdecimal() else None


def _check_space(folder: Path, total: int | None, have: int) -> None:
    if total is None:
        return
    need, free = total - have + UNPACKED * total, shutil.disk_usage(folder).free
    if need > free:
        raise UserError(
            f"{folder}: {free / 1e9:.1f} GB free, but the archive and its content need "
            f"{need / 1e9:.1f} GB; choose another folder with --data or PETL_DATA"
        )


# --- verify and unpack ----------------------------------------------------------------------------


def _verify(archive: Path, expected: str, tell: Tell) -> str:
    """The checksum: of the expected kind, or `sha256:...`."""
    kind, _, wanted = (expected or "sha256:").partition(":")
    digest, total, done = hashlib.new(kind), archive.stat().st_size, 0
    with archive.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            tell("verifying", done, total)
    if wanted and digest.hexdigest() != wanted:
        raise _refused(archive, f"its {kind} is {digest.hexdigest()}, not {wanted}")
    return f"{kind}:{digest.hexdigest()}"


def _refused(archive: Path, why: str) -> UserError:
    """Rename it, so that the next fetch downloads it again."""
    aside = archive.replace(archive.with_name(f"{archive.name}.refused"))
    return UserError(
        f"{archive}: {why}; it is renamed to {aside.name}, run the same command again to start over"
    )


def _unpack(archives: list[Path], folder: Path, tell: Tell) -> int:
    """The number of files. If all of one archive is in a folder, that is the dataset's folder."""
    with staging(folder) as temporary:
        files = sum(_unpack_one(archive, temporary, tell) for archive in archives)
        inside = [e for e in temporary.iterdir() if not e.name.startswith((".", "__"))]
        is_one_folder = len(archives) == len(inside) == 1 and inside[0].is_dir()
        (inside[0] if is_one_folder else temporary).rename(folder)
    return files


def _unpack_one(archive: Path, folder: Path, tell: Tell) -> int:
    files = size = 0
    most = max(SMALL, BOMB * archive.stat().st_size)
    try:
        for name, source in _members(archive):
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                raise _refused(archive, f"{name} in it is a path out of its folder")
            if not path.parts or "\0" in name or len(path.parts) > DEPTH:
                raise _refused(archive, f"{name[:40]!r} in it is no usable file name")
            if source is None:
                raise _refused(archive, f"{name} in it is a link or a device")
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as out:
                while block := source.read(BLOCK):
                    size += out.write(block)
                    if size > most:
                        raise _refused(archive, f"it unpacks to over {BOMB} times its size")
            files += 1
            tell("unpacking", size, None)
    except BROKEN as error:
        raise _refused(archive, f"not a complete archive ({error})") from None
    except UNREADABLE as error:
        raise _refused(archive, f"it cannot be unpacked: {error}") from None
    return files


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    """All names but those of folders; None instead of a file's content where it is no plain file.

    tarfile and zipfile could extract all at once, but Python 3.10's tarfile follows links out of
    the folder, and zipfile silently changes names that lead out.
    """
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                if not info.filename.endswith("/"):  # is_dir() falls over an empty name
                    with zipped.open(info) as source:
                        yield info.filename, source
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            if not member.isdir():
                yield member.name, tar.extractfile(member) if member.isfile() else None
