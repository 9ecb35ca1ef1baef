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


def test_a_worker_on_another_host_lives_while_it_gives_signs(claim: Path) -> None:
    write_json(claim, {"token": "t", "host": "elsewhere", "pid": 1, "born": "1"})
    with pytest.raises(RunIsTaken, match="process 1 on elsewhere"):
        Claim(claim).__enter__()
    long_ago = time.time() - SILENT_S - 1
    os.utime(claim, (long_ago, long_ago))
    with Claim(claim) as mine:
        assert holder(claim)["token"] == mine.token


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
