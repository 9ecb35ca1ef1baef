"""Reading and writing files that several people share.

A reader never sees half a file, even if the writer is killed. Run folders may be writable by a
whole group, so nothing here writes through a link, replaces a device, or waits on a pipe.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from petl.errors import UserError, reason


def write_atomic(
    path: Path,
    data: bytes | memoryview,
    mode: int = 0o666,
    check: Callable[[], object] = lambda: None,
) -> None:
    """Write to a temporary name in the same folder, fsync, and rename it over the old file.

    `check` is called just before the rename: what it raises leaves the old file as it is.
    """
    refuse_irregular(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb", opener=partial(os.open, mode=mode)) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        check()
        temporary.replace(path)
    except OSError as error:  # from a full disk it comes without a name
        error.filename = str(path)
        raise
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def refuse_irregular(path: Path) -> None:
    """A rename would replace a device such as /dev/full, and the link instead of its target."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode):
        kind = "a link" if stat.S_ISLNK(mode) else "not a regular file"
        raise UserError(f"{path}: {kind}, and petl replaces regular files only")


def read_regular(path: Path, most: int = -1) -> bytes:
    """The bytes of a regular file, or its first ones."""
    with open_regular(path) as file:
        return file.read(most)


def full_or_read_only(folder: Path) -> str:
    """What is wrong with the folder's disk at this moment; empty if nothing is, or not known."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return ""
    if disk.f_flag & os.ST_RDONLY:
        return f"{folder}: read-only file system"
    if disk.f_blocks and disk.f_bavail * disk.f_frsize < 4096:
        return f"{folder}: the disk is full"
    if disk.f_files and not disk.f_favail:
        return f"{folder}: the disk has no room for another file"
    return ""


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """A regular file; opening a pipe that nobody writes to would wait for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise OSError(number, "not a regular file", str(path))
    with os.fdopen(descriptor, "rb") as file:
        yield file


def open_to_append(path: Path) -> int:
    """A descriptor; a link is refused, because it may point to a file that only we may write."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a pipe without a reader
            refuse_irregular(path)
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UserError(f"{path}: not a regular file, and petl appends to regular files only")
    return descriptor


def refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise UserError(f"{path} exists already; choose another name with --out")


@contextmanager
def staging(target: Path) -> Iterator[Path]:
    """An empty folder beside the target: fill it, then rename it. What remains is removed."""
    folder = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def refuse_foreign(path: Path, *marks: bytes) -> bool:
    """Is there a file that petl made? A file without any of the marks is refused."""
    if not os.path.lexists(path):
        return False
    data = path.read_bytes() if path.is_file() else b""
    if not any(mark in data for mark in marks):
        raise UserError(f"{path} was not made by petl; move it, or choose another name")
    return True


def write_output(path: Path, data: bytes) -> None:
    """Write a file that the user has named. Make its folder; report a full disk in one line."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
    except OSError as error:
        raise UserError(f"cannot write {path}: {reason(error)}") from None


def refuse_taken(out: Path) -> None:
    """Nothing that somebody made is overwritten."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"{out} exists already; choose a new folder")


def write_folder(out: Path, files: Mapping[str, bytes]) -> None:
    """Write all files or none; refuse a folder that is not empty."""
    refuse_taken(out)
    try:
        with staging(out) as temporary:
            for name, data in files.items():
                write_atomic(temporary / name, data)
            temporary.replace(out)
    except OSError as error:
        raise UserError(f"cannot write {out}: {reason(error)}") from None


def write_json(path: Path, value: Any, check: Callable[[], object] = lambda: None) -> None:
    """Indented, with a row of integers (as in a confusion matrix) on one line."""
    text = json.dumps(value, indent=1, allow_nan=True)
    text = re.sub(r"\[\n[\s\d,]*\]", lambda row: "[" + " ".join(row[0][1:-1].split()) + "]", text)
    write_atomic(path, (text + "\n").encode(), check=check)


def read_json(path: Path) -> Any | None:
    """The file's value, or None if it cannot be read or is not valid JSON."""
    try:
        return json.loads(read_regular(path))
    except (OSError, ValueError, RecursionError):
        return None


def append_json_line(path: Path, value: Any) -> None:
    """Append a whole line in one write, so that a reader sees all of it or none."""
    line = json_lines([value])
    descriptor = open_to_append(path)
    try:
        written = os.write(descriptor, line)
        if written < len(line):  # half a line would also damage the next one
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(descriptor)


def json_lines(values: Iterable[Any]) -> bytes:
    return "".join(json.dumps(value, allow_nan=True) + "\n" for value in values).encode()
