"""A public dataset is downloaded, verified, unpacked and moved into its place, in this order.

Each step leaves something that the next try goes on from: `ARCHIVE.part` is the beginning of a
download, `ARCHIVE` all of it, and the dataset's folder appears only when everything is in it.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import os
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from petl.data.downloads import Download
from petl.errors import UserError, reason
from petl.files import staging
from petl.runs.claim import Claim, RunIsTaken

Tell = Callable[[str, int, "int | None"], None]
"""Called with what is being done, and how many bytes of how many are, if that is known."""

BLOCK = 1 << 20
TIMEOUT_S = 60
BROKEN = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)
UNPACKED = 1.5
"""What an archive of these grows to at most: 16-bit audio loses a third when zipped, if that."""


@dataclass(frozen=True)
class Fetched:
    files: int
    bytes: int
    checksum: str
    verified: bool
    left: Path | None
    """An archive that was there before: whoever put it there may delete it."""


def is_there(folder: Path) -> bool:
    return folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))


def fetch(download: Download, folder: Path, tell: Tell) -> Fetched:
    """Into a folder that is not there, or is empty."""
    archive = folder.parent / download.file
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with Claim(folder.with_name(f".{folder.name}.claim")) as claim:

            def alive(doing: str, done: int, total: int | None) -> None:
                claim.touch()
                tell(doing, done, total)

            found = archive.is_file()
            if not found:
                _download(download.url, archive, alive)
            size = archive.stat().st_size
            checksum = _verify(archive, download.checksum, alive)
            files = _unpack(archive, folder, alive)
            if not found:
                archive.unlink()
    except RunIsTaken:
        raise UserError(f"{folder}: another process is fetching it already") from None
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {reason(error)}") from None
    return Fetched(files, size, checksum, bool(download.checksum), archive if found else None)


# --- download -------------------------------------------------------------------------------------


def _download(url: str, archive: Path, tell: Tell) -> None:
    """A connection that breaks off is made again as long as each brings something."""
    part = archive.with_name(f"{archive.name}.part")
    before = -1
    while not _go_on(url, part, tell):
        have = _size(part)
        if have <= before:
            raise UserError(
                f"{url}: the connection broke off after {have / 1e6:,.1f} MB; they stay in {part}, "
                "and the same command goes on from there"
            )
        before = have
    part.rename(archive)


def _go_on(url: str, part: Path, tell: Tell) -> bool:
    """Ask for what is missing. Says whether that is all of it now."""
    have = _size(part)
    headers = {"User-Agent": "petl"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = urlopen(Request(url, headers=headers), timeout=TIMEOUT_S)
    except HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise UserError(f"{url}: {error.code} {error.reason}") from None
        if _total(error.headers) == have:
            return True
        part.unlink()  # longer than the whole: of something else
        return False
    except (OSError, ValueError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        raise UserError(f"{url}: {reason(cause)}") from None
    with response:
        goes_on = response.status == http.client.PARTIAL_CONTENT
        if goes_on and _begins_at(response.headers) != have:
            raise UserError(f"{url}: the server sent another part than it was asked for")
        have = have if goes_on else 0
        total = _total(response.headers)
        _check_room(part.parent, total, have)
        with part.open("ab" if goes_on else "wb") as out:
            while block := _read(response):
                out.write(block)
                have += len(block)
                tell("downloading", have, total)
            out.flush()
            os.fsync(out.fileno())
    return have == total if total is not None else block is not None


def _read(response: http.client.HTTPResponse) -> bytes | None:
    """What has come, nothing at the end; None when the connection broke."""
    try:
        return response.read1(BLOCK)
    except (OSError, http.client.HTTPException):
        return None


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _total(headers: Message) -> int | None:
    """Of the whole file: `Content-Range: bytes 5-9/10` says it, or the length of an answer."""
    in_range = re.search(r"/(\d+)$", headers.get("Content-Range", ""))
    said = in_range[1] if in_range else headers.get("Content-Length", "")
    return int(said) if said.isdecimal() else None


def _begins_at(headers: Message) -> int | None:
    begin = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    return int(begin[1]) if begin else None


def _check_room(folder: Path, total: int | None, have: int) -> None:
    if total is None:
        return
    need, free = total - have + UNPACKED * total, shutil.disk_usage(folder).free
    if need > free:
        raise UserError(
            f"{folder}: {free / 1e9:.1f} GB free, and the archive with what is in it takes "
            f"{need / 1e9:.1f} GB; --data or PETL_DATA names another place"
        )


# --- verify and unpack ----------------------------------------------------------------------------


def _verify(archive: Path, expected: str, tell: Tell) -> str:
    """The checksum found, `sha256:...` where none is expected."""
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
    """Out of the way, so that the next try downloads it again."""
    aside = archive.replace(archive.with_name(f"{archive.name}.refused"))
    return UserError(f"{archive}: {why}; it is {aside.name} now, and the same command starts again")


def _unpack(archive: Path, folder: Path, tell: Tell) -> int:
    """How many files. An archive's one outer folder, if it has one, becomes the dataset's."""
    files = size = 0
    try:
        with staging(folder) as temporary:
            for name, source in _members(archive):
                target = temporary / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as out:
                    shutil.copyfileobj(source, out, BLOCK)
                    size += out.tell()
                files += 1
                tell("unpacking", size, None)
            inside = [e for e in temporary.iterdir() if not e.name.startswith((".", "__"))]
            whole = inside[0] if len(inside) == 1 and inside[0].is_dir() else temporary
            whole.rename(folder)
    except BROKEN as error:
        raise _refused(archive, f"not a whole archive ({error})") from None
    return files


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Plain files with a path that stays inside: nothing else has a place in a dataset."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                _check_inside(archive, info.filename)
                if not info.is_dir():
                    with zipped.open(info) as source:
                        yield info.filename, source
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            _check_inside(archive, member.name)
            source_or_none = tar.extractfile(member) if member.isfile() else None
            if source_or_none is not None:
                yield member.name, source_or_none
            elif not member.isdir():
                raise _refused(archive, f"{member.name} in it is a link or a device")


def _check_inside(archive: Path, name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise _refused(archive, f"{name} in it would land outside")
