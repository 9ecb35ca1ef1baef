"""A crafted archive stays in its folder, does not fill the disk and is refused in one line."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from petl.data.downloads import Download
from petl.data.fetch import fetch
from petl.errors import UserError


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members:
            file.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return buffer.getvalue()


def tarred(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for member in members:
            file.addfile(member)
    return buffer.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def patched(archive: bytes, offset_local: int, offset_central: int, value: int) -> bytes:
    """One 16-bit field of the only member's two headers."""
    content = bytearray(archive)
    for mark, offset in ((b"PK\3\4", offset_local), (b"PK\1\2", offset_central)):
        at = content.index(mark) + offset
        content[at : at + 2] = struct.pack("<H", value)
    return bytes(content)


PLAIN = zipped(("a.wav", b"RIFF"))
ARCHIVES = {
    "a path out": ("x.zip", zipped(("../../out", b"x"))),
    "an absolute path": ("x.zip", zipped(("/tmp/petl-was-here", b"x"))),
    "a link": ("x.tar.gz", tarred(link("audio", "/etc"))),
    "a hard link": ("x.tar.gz", tarred(link("passwd", "/etc/passwd", tarfile.LNKTYPE))),
    "a pipe": ("x.tar.gz", tarred(link("pipe", "", tarfile.FIFOTYPE))),
    "300 MB in 300 kB": (
        "x.zip",
        zipped(("silence.wav", bytes(300_000_000)), method=zipfile.ZIP_DEFLATED),
    ),
    "encrypted": ("x.zip", patched(PLAIN, 6, 8, 1)),
    "method 9": ("x.zip", patched(PLAIN, 8, 10, 9)),
    "method 99": ("x.zip", patched(PLAIN, 8, 10, 99)),
    "2,000 levels": ("x.zip", zipped(("a/" * 2000 + "b", b"x"))),
    "a long name": ("x.zip", zipped(("a" * 5000, b"x"))),
    "an empty name": ("x.zip", zipped(("", b"x"))),
    "a folder as a file": ("x.zip", zipped(("a", b"x"), ("a/b", b"x"))),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_crafted_archive_is_refused_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    file, content = ARCHIVES[name]
    data = tmp_path / "deep" / "data"
    data.mkdir(parents=True)
    (data / file).write_bytes(content)
    download = Download(file=file, url="http://127.0.0.1:1/x", page="", licence="", checksum="")
    with pytest.raises(UserError) as error:
        fetch(download, data / "corpus", lambda *progress: None)
    assert "\n" not in str(error.value)
    assert {path.name for path in data.iterdir()} <= {file, f"{file}.refused"}
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert not Path("/tmp/petl-was-here").exists()
