"""Downloads from a real server on this machine, which breaks off, forgets and refuses as asked."""

from __future__ import annotations

import hashlib
import io
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from petl.cli import app
from petl.config.published import PUBLISHED
from petl.data.downloads import DOWNLOADS, Download
from petl.data.fetch import fetch
from petl.errors import UserError
from petl.runs.claim import Claim

ROOT = Path(__file__).parents[2]
FILES = {"meta/esc50.csv": b"filename,fold\n", "audio/1-1-A-0.wav": bytes(range(256)) * 4000}


class Server(ThreadingHTTPServer):
    """Serves `content` at /archive; what it does wrong is set on it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = b""
        self.knows_ranges = True
        self.most: list[int] = []
        """Of each answer to come, the bytes after which the connection breaks."""
        self.holds_at: int | None = None
        """After so many bytes it waits until `go_on`."""
        self.go_on = threading.Event()
        self.drips = False
        """It sends a byte now and then."""
        self.claims: int | None = None
        """The length it announces, if not the true one."""
        self.asked: list[str | None] = []
        """The Range header of each request."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/archive"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        asked, server = self.headers["Range"], self.server
        server.asked.append(asked)
        if self.path != "/archive":
            self.send_error(404)
            return
        begin, size = 0, len(server.content)
        if asked and server.knows_ranges:
            begin = int(asked.removeprefix("bytes=").removesuffix("-"))
        if begin >= size > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        self.send_header("Content-Length", str(server.claims or size - begin))
        self.end_headers()
        body = server.content[begin:]
        if server.most:
            body, self.close_connection = body[: server.most.pop(0)], True
        if server.holds_at is not None:
            self.wfile.write(body[: server.holds_at])
            self.wfile.flush()
            body = body[server.holds_at :]
            server.go_on.wait(30)
        try:
            while server.drips and body:
                self.wfile.write(body[:1])
                self.wfile.flush()
                body = body[1:]
                server.go_on.wait(0.05)
            self.wfile.write(body)
        except OSError:  # whoever asked is gone
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        server.content = zipped(FILES)
        yield server
        server.go_on.set()
        server.shutdown()
        thread.join()


def zipped(files: dict[str, bytes], outer: str = "ESC-50-master/") -> bytes:
    """Stored, not packed, so that it has a size worth breaking off in."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{outer}{name}", content)
    return buffer.getvalue()


def tarred(*members: tarfile.TarInfo, files: dict[str, bytes] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for member in members:
            archive.addfile(member)
        for name, content in (files or {}).items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def download(server: Server, file: str = "archive.zip", checksum: str = "") -> Download:
    return Download(server.url, file, checksum, "", "")


def bring(server: Server, folder: Path, file: str = "archive.zip", checksum: str = ""):
    return fetch(download(server, file, checksum), folder, lambda *_: None)


def petl(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["data", "fetch", *map(str, arguments)])


def held(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- what it is for -------------------------------------------------------------------------------


def test_a_download_becomes_the_datasets_folder_and_nothing_else(server, tmp_path):
    told = petl("esc50", "--url", server.url, "--data", tmp_path / "new")
    assert told.exit_code == 0, told.output
    assert held(tmp_path / "new" / "esc50") == FILES
    assert names(tmp_path / "new") == ["esc50"]
    digest = hashlib.sha256(server.content).hexdigest()
    assert f"{len(server.content):,} bytes, sha256:{digest} (no published checksum" in told.stdout
    assert "CC BY-NC" in told.stdout
    assert told.stdout.endswith("2 files; next, run `petl data check esc50`\n")


def test_a_flat_archive_stays_flat(server, tmp_path):
    server.content = tarred(files={f"./{name}": content for name, content in FILES.items()})
    bring(server, tmp_path / "words", "words.tar.gz")
    assert held(tmp_path / "words") == FILES


def test_what_a_mac_leaves_beside_the_outer_folder_does_not_count(server, tmp_path):
    files = {f"UrbanSound8K/{name}": content for name, content in FILES.items()}
    server.content = tarred(files=files | {"._UrbanSound8K": b"mac"})
    bring(server, tmp_path / "us8k", "us8k.tar.gz")
    assert held(tmp_path / "us8k") == FILES


def test_a_published_checksum_is_compared(server, tmp_path):
    digest = hashlib.md5(server.content).hexdigest()
    fetched = bring(server, tmp_path / "esc50", checksum=f"md5:{digest}")
    assert fetched.checksum == f"md5:{digest}"


def test_a_second_fetch_asks_for_nothing(server, tmp_path):
    petl("esc50", "--url", server.url, "--data", tmp_path)
    told = petl("esc50", "--url", server.url, "--data", tmp_path)
    assert told.exit_code == 0
    assert "already exists" in told.stdout
    assert len(server.asked) == 1


def test_a_folder_with_anything_in_it_is_never_touched(server, tmp_path):
    mine = tmp_path / "esc50" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    told = petl("esc50", "--url", server.url, "--data", tmp_path)
    assert "already exists" in told.stdout
    assert held(tmp_path) == {"esc50/mine.txt": b"mine"}
    assert server.asked == []


def test_an_empty_folder_is_filled(server, tmp_path):
    (tmp_path / "esc50").mkdir()
    bring(server, tmp_path / "esc50")
    assert held(tmp_path / "esc50") == FILES


def test_an_archive_downloaded_by_hand_is_used_and_kept(server, tmp_path):
    (tmp_path / "ESC-50-master.zip").write_bytes(server.content)
    told = petl("esc50", "--url", server.url, "--data", tmp_path)
    assert held(tmp_path / "esc50") == FILES
    assert "ESC-50-master.zip is no longer needed and can be deleted" in told.stdout
    assert names(tmp_path) == ["ESC-50-master.zip", "esc50"]
    assert server.asked == []


# --- what goes wrong on the way -------------------------------------------------------------------


def test_a_killed_download_goes_on_where_it_was(server, tmp_path):
    server.holds_at = len(server.content) // 2
    command = [sys.executable, "-m", "petl.cli", "data", "fetch", "esc50"]
    command += ["--url", server.url, "--data", str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    part = tmp_path / "ESC-50-master.zip.part"
    wait_for(lambda: part.exists() and part.stat().st_size > 0)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    have = part.stat().st_size
    assert not (tmp_path / "esc50").exists()

    server.holds_at = None
    told = petl("esc50", "--url", server.url, "--data", tmp_path)
    assert told.exit_code == 0, told.output
    assert server.asked == [None, f"bytes={have}-"]
    assert held(tmp_path / "esc50") == FILES
    assert names(tmp_path) == ["esc50"]


def test_a_broken_connection_is_made_again(server, tmp_path):
    server.most = [300_000, 200_000]
    bring(server, tmp_path / "esc50")
    assert server.asked == [None, "bytes=300000-", "bytes=500000-"]
    assert held(tmp_path / "esc50") == FILES


def test_a_connection_that_brings_nothing_ends_in_one_line_and_keeps_what_came(server, tmp_path):
    server.most = [300_000, 0]
    told = petl("esc50", "--url", server.url, "--data", tmp_path)
    assert told.exit_code == 2
    assert "connection lost after 0.3 MB" in told.stderr
    assert told.stderr.count("\n") == 1
    assert (tmp_path / "ESC-50-master.zip.part").stat().st_size == 300_000


def test_a_server_that_drips_ends_in_one_line_and_keeps_what_came(server, tmp_path, monkeypatch):
    monkeypatch.setattr("petl.data.fetch.TIMEOUT_S", 0.5)
    server.drips = True
    started = time.monotonic()
    told = petl("esc50", "--url", server.url, "--data", tmp_path)
    assert time.monotonic() - started < 5
    assert told.exit_code == 2 and told.stderr.count("\n") == 1
    assert "slower than 1000 bytes per second" in told.stderr
    assert (tmp_path / "ESC-50-master.zip.part").stat().st_size > 0
    server.drips = False
    assert petl("esc50", "--url", server.url, "--data", tmp_path).exit_code == 0
    assert held(tmp_path / "esc50") == FILES


def test_a_server_that_falls_silent_ends_in_one_line(server, tmp_path, monkeypatch):
    monkeypatch.setattr("petl.data.fetch.TIMEOUT_S", 0.3)
    server.holds_at = 0
    told = petl("esc50", "--url", server.url, "--data", tmp_path)
    assert told.exit_code == 2 and told.stderr.count("\n") == 1


def test_a_server_that_knows_no_ranges_is_asked_for_all_of_it(server, tmp_path):
    server.knows_ranges, server.most = False, [300_000]
    bring(server, tmp_path / "esc50")
    assert server.asked == [None, "bytes=300000-"]
    assert held(tmp_path / "esc50") == FILES


def test_the_rest_of_something_longer_is_thrown_away(server, tmp_path):
    (tmp_path / "archive.zip.part").write_bytes(bytes(len(server.content) + 5))
    bring(server, tmp_path / "esc50")
    assert held(tmp_path / "esc50") == FILES


def test_a_part_that_lacks_nothing_is_not_downloaded_again(server, tmp_path):
    (tmp_path / "archive.zip.part").write_bytes(server.content)
    bring(server, tmp_path / "esc50")
    assert server.asked == [f"bytes={len(server.content)}-"]
    assert held(tmp_path / "esc50") == FILES


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("{0}/nothing", "404 Not Found"),
        ("http://127.0.0.1:1/x", "connection refused"),
        ("esc50.zip", "unknown url type: 'esc50.zip'"),
    ],
)
def test_an_address_without_an_archive_is_one_clear_line(server, tmp_path, url, complaint):
    told = petl("esc50", "--url", url.format(server.url), "--data", tmp_path)
    assert told.exit_code == 2
    assert complaint in told.stderr
    assert told.stderr.count("\n") == 1
    assert names(tmp_path) == []


def test_too_full_a_disk_is_noticed_before_the_download(server, tmp_path):
    server.claims = 10**18
    with pytest.raises(UserError, match=r"GB free, but the archive .* need 2500000000\.0 GB"):
        bring(server, tmp_path / "esc50")
    assert names(tmp_path) == []


def test_of_two_at_once_one_is_told(server, tmp_path):
    with (
        Claim(tmp_path / ".esc50.claim"),
        pytest.raises(UserError, match=r"esc50: another process is downloading it"),
    ):
        bring(server, tmp_path / "esc50")


def test_a_place_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file: (file exists|not a directory)"):
        bring(server, tmp_path / "file" / "esc50")


# --- what came is not what it should be -----------------------------------------------------------


def test_a_wrong_checksum_is_refused_and_the_next_try_starts_again(server, tmp_path):
    right = server.content
    checksum = f"md5:{hashlib.md5(right).hexdigest()}"
    server.content = right[:-1] + b"x"
    with pytest.raises(UserError, match=r"archive\.zip: its md5 is \w+, not \w+; it is renamed"):
        bring(server, tmp_path / "esc50", checksum=checksum)
    assert names(tmp_path) == ["archive.zip.refused"]
    server.content = right
    bring(server, tmp_path / "esc50", checksum=checksum)
    assert held(tmp_path / "esc50") == FILES


def test_another_archive_than_the_published_one_is_refused(server, tmp_path):
    told = petl("speech-commands", "--url", server.url, "--data", tmp_path)
    assert told.exit_code == 2
    assert "not af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58" in told.stderr
    assert not (tmp_path / "speech-commands").exists()


def link(name: str, to: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, to
    return info


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("a.zip", zipped({"../escaped": b""}, outer=""), "is a path out of its folder"),
        ("a.tar.gz", tarred(files={"x/../../escaped": b""}), "is a path out of its folder"),
        ("a.tar.gz", tarred(files={"/tmp/escaped": b""}), "is a path out of its folder"),
        ("a.tar.gz", tarred(link("x", ".."), files={"x/escaped": b""}), "is a link"),
        ("a.zip", b"<html>busy</html>", "not a complete archive"),
        (
            "a.zip",
            zipped(FILES).replace(bytes(range(256)), bytes(256), 1),
            "not a complete archive",
        ),
        ("a.tar.gz", tarred(files=FILES)[:-2000], "not a complete archive"),
        ("a.tar.gz", b"<html>busy</html>", "not a complete archive"),
    ],
    # an archive has the time in it: processes that collect tests in parallel need equal names
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_archive_leaves_nothing_but_itself(server, tmp_path, file, content, complaint):
    server.content = content
    with pytest.raises(UserError, match=complaint):
        bring(server, tmp_path / "data" / "esc50", file)
    assert names(tmp_path) == ["data"]
    assert names(tmp_path / "data") == [f"{file}.refused"]


# --- what cannot be downloaded --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("iemocap", "needs a licence .* https://sail.usc.edu/iemocap"),
        ("fluent-speech-commands", "register at https://fluent.ai/"),
        ("ecs50", "petl knows no download for 'ecs50'; did you mean 'esc50'"),
    ],
)
def test_where_there_is_no_download_it_says_where_to_turn(tmp_path, name, complaint):
    told = petl(name, "--data", tmp_path)
    assert told.exit_code == 2
    assert re.search(complaint, told.stderr)


def test_what_is_known_of_a_dataset_agrees_with_itself():
    for name, official in PUBLISHED.items():
        for counts in (official.classes.values(), official.folds, official.parts.values()):
            assert not counts or sum(counts) == official.clips, name
    for download in DOWNLOADS.values():
        kind, _, digest = download.checksum.partition(":")
        assert not kind or len(digest) == 2 * hashlib.new(kind).digest_size


def wait_for(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
