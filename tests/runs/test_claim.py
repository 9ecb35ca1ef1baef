"""One process at a time works on a run, and a dead one never blocks a live one. Real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from petl.files import read_json, write_json
from petl.runs import claim as claims
from petl.runs.claim import SILENT_S, Claim, RunIsTaken, holder, is_alive

HOLD = """
import sys, time
from pathlib import Path
from petl.runs.claim import Claim
with Claim(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""

RACE = """
import sys, time
from pathlib import Path
from petl.runs.claim import Claim, RunIsTaken
print("ready", flush=True)
sys.stdin.readline()
try:
    with Claim(Path(sys.argv[1])):
        print("won", flush=True)
        sys.stdin.readline()
except RunIsTaken:
    print("lost", flush=True)
"""


def start(code: str, claim: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(claim)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def dead_claim(path: Path) -> None:
    """As a worker leaves it behind that was killed outright."""
    worker = start(HOLD, path)
    assert said(worker) == "held"
    worker.kill()
    worker.wait()
    assert path.exists()


@pytest.fixture
def claim(tmp_path: Path) -> Path:
    return tmp_path / "claim.json"


def test_a_live_holder_is_respected(claim: Path) -> None:
    worker = start(HOLD, claim)
    assert said(worker) == "held"
    try:
        assert is_alive(claim)
        with pytest.raises(RunIsTaken, match=f"process {worker.pid} on .* is working on this run"):
            Claim(claim).__enter__()
        assert holder(claim)["pid"] == worker.pid
    finally:
        worker.kill()
        worker.wait()


def test_a_dead_holder_is_replaced(claim: Path) -> None:
    dead_claim(claim)
    assert not is_alive(claim)
    with Claim(claim):
        assert is_alive(claim)
        assert holder(claim)["pid"] == os.getpid()
    assert list(claim.parent.iterdir()) == []


def test_a_worker_that_nobody_has_waited_for_yet_is_dead(claim: Path) -> None:
    worker = start(HOLD, claim)
    assert said(worker) == "held"
    worker.kill()
    time.sleep(0.2)
    assert not is_alive(claim)  # a zombie still has its number
    worker.wait()


@pytest.mark.parametrize("attempt", range(3))
def test_of_eight_that_race_for_a_dead_claim_one_wins(claim: Path, attempt: int) -> None:
    dead_claim(claim)
    racers = [start(RACE, claim) for _ in range(8)]
    assert [said(racer) for racer in racers] == ["ready"] * 8
    for racer in racers:
        tell(racer)
    assert sorted(said(racer) for racer in racers) == ["lost"] * 7 + ["won"]
    for racer in racers:
        racer.communicate("\n", timeout=20)
    assert list(claim.parent.iterdir()) == []


def test_a_process_number_used_again_is_not_the_worker(claim: Path) -> None:
    with Claim(claim):
        mine = read_json(claim)
    write_json(claim, mine | {"born": "1"})
    assert not is_alive(claim)
    with Claim(claim):
        assert holder(claim)["born"] == mine["born"]


ELSEWHERE = {"host": "elsewhere", "boot": "another", "namespace": 1, "pid": 1, "born": "1"}


def test_a_worker_on_another_host_lives_while_it_shows_signs_of_life(claim: Path) -> None:
    write_json(claim, {"token": "t", **ELSEWHERE})
    with pytest.raises(RunIsTaken, match="process 1 on elsewhere"):
        Claim(claim).__enter__()
    long_ago = time.time() - SILENT_S - 1
    os.utime(claim, (long_ago, long_ago))
    with Claim(claim) as mine:
        assert holder(claim)["token"] == mine.token


@pytest.mark.parametrize("different", ["boot", "namespace"])
def test_the_same_host_name_is_not_the_same_host(claim: Path, different: str) -> None:
    """Containers share names and have process numbers of their own: 1 is alive in each of them."""
    with Claim(claim):
        mine = read_json(claim)
    write_json(claim, mine | {different: 1, "pid": 10**6})
    assert is_alive(claim), "no process of that number here says nothing about there"


@pytest.mark.skipif(os.geteuid() != 0, reason="unshare wants root")
def test_a_worker_in_a_container_of_the_same_name_is_respected(claim: Path) -> None:
    command = [
        "unshare",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        sys.executable,
        "-c",
        HOLD,
    ]
    worker = subprocess.Popen([*command, str(claim)], stdout=subprocess.PIPE, text=True)
    try:
        assert said(worker) == "held"
        assert holder(claim)["pid"] < 100, "a process number of its own namespace"
        with pytest.raises(RunIsTaken, match="is working on this run"):
            Claim(claim).__enter__()
    finally:
        worker.kill()
        worker.wait()


@pytest.mark.parametrize("minutes", [-60, -11, 11, 60])
def test_a_clock_that_is_wrong_neither_kills_nor_keeps(claim: Path, minutes, monkeypatch) -> None:
    """Ages come from the file server's clock: ours may be an hour off."""
    monkeypatch.setattr(claims, "_clocks", {})
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + 60 * minutes)
    write_json(claim, {"token": "t", **ELSEWHERE})
    assert is_alive(claim)
    long_ago = true_time() - SILENT_S - 1
    os.utime(claim, (long_ago, long_ago))
    assert not is_alive(claim)


# --- silence --------------------------------------------------------------------------------------


def quiet(claim: Path, seconds: float, **other: object) -> None:
    """A claim of another host, touched so long ago."""
    write_json(claim, {"token": "t", **ELSEWHERE, **other})
    os.utime(claim, (time.time() - seconds,) * 2)


def test_a_holder_is_silent_after_longer_than_its_epochs_explain(claim: Path) -> None:
    quiet(claim, SILENT_S + 200)
    since = claims.silence(claim)
    assert since is not None and since.host == "elsewhere"
    assert abs(time.time() - SILENT_S - 200 - since.since) < 5
    assert claims.silence(claim, longest_s=100) is None
    quiet(claim, SILENT_S + 3 * 100 + 200)
    assert claims.silence(claim, longest_s=100) is not None


def test_a_touch_that_is_seen_late_makes_no_holder_silent(claim: Path, monkeypatch) -> None:
    """NFS shows a file's time up to a minute late: here, without any margin but that."""
    monkeypatch.setattr(claims, "SILENT_S", 0)
    real = claims.age
    monkeypatch.setattr(claims, "age", lambda path, guess=True: real(path, guess) + 59)
    with Claim(claim):
        os.utime(claim, (time.time() - claims.TOUCH_S + 2,) * 2)  # it is about to touch it again
        assert claims.age(claim) > 60
        assert claims.silence(claim) is None
        monkeypatch.setattr(claims, "LATE_S", 0)
        assert claims.silence(claim) is not None


@pytest.mark.parametrize("minutes", [-60, 60])
def test_a_wrong_clock_makes_no_holder_silent(claim: Path, minutes: int, monkeypatch) -> None:
    monkeypatch.setattr(claims, "_clocks", {})
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + 60 * minutes)
    write_json(claim, {"token": "t", **ELSEWHERE})
    assert claims.silence(claim) is None
    monkeypatch.setattr(claims, "_clocks", {})

    def refused(folder: Path) -> float:
        raise PermissionError

    monkeypatch.setattr(claims, "_clock_ahead", refused)
    assert claims.silence(claim) is None, "nobody knows the file server's clock"


def test_the_dead_are_not_silent(claim: Path) -> None:
    dead_claim(claim)
    os.utime(claim, (0, 0))
    assert claims.silence(claim) is None


def test_a_silent_holder_is_dismissed_and_one_that_is_heard_is_not(claim: Path) -> None:
    with Claim(claim) as first:
        assert not claims.revoke(claim)
        first.check()
        os.utime(claim, (0, 0))
        assert claims.revoke(claim) and not claims.revoke(claim)
        with pytest.raises(RunIsTaken):
            first.touch()
        with Claim(claim) as second:
            with pytest.raises(RunIsTaken):
                first.check()
            second.check()


def test_whoever_lost_a_run_notices_before_writing(claim: Path) -> None:
    with Claim(claim) as first:
        first.check()
        write_json(claim, {"token": "successor", **ELSEWHERE})
        with pytest.raises(RunIsTaken, match="process 1 on elsewhere has taken this run over"):
            first.check()
    assert holder(claim)["token"] == "successor"


def test_leaving_does_not_remove_a_successors_claim(claim: Path) -> None:
    with Claim(claim):
        write_json(claim, {"token": "successor", "host": "elsewhere", "pid": 1, "born": "1"})
    assert holder(claim)["token"] == "successor"


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"host": "x"', b'{"token": 3}'])
def test_a_claim_that_says_nothing_is_nobodys(claim: Path, content: bytes) -> None:
    claim.write_bytes(content)
    assert not is_alive(claim)
    with Claim(claim):
        assert json.loads(claim.read_text())["pid"] == os.getpid()
