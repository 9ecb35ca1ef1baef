"""What goes wrong during a download from a real server on this machine."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from download_server import FILES, bring, held, names, petl

from petl.errors import UserError
from petl.runs.claim import Claim

ROOT = Path(__file__).parents[2]


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


def wait_for(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
