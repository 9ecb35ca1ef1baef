"""A server of archives on this machine, which breaks off, forgets and refuses as a test asks."""

from __future__ import annotations

import io
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from typer.testing import CliRunner, Result

from petl.cli import app
from petl.data.downloads import Download
from petl.data.fetch import fetch

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
