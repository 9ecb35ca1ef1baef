"""What a run and its job have printed, once or as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from slurm.status.plan import Item

POLL_S = 1.0
Say = Callable[[str], None]


def files(item: Item) -> list[Path]:
    """What its last job printed, then what the run wrote itself."""
    jobs = [attempt.submission.log(attempt.job) for attempt in item.attempts if attempt.job]
    return [file for file in (*jobs[-1:], item.run.log_file) if file.is_file()]


def show(item: Item, say: Say) -> None:
    for file in files(item):
        _say(say, file, file.read_bytes())
    log = item.run.log_file
    if not log.exists() and (packed := item.run.read(log.name)) is not None:
        _say(say, f"{log}, packed", packed)


def follow(item: Item, say: Say) -> None:
    """Whatever is added, until the run has ended."""
    read: dict[Path, int] = {}
    last: Path | None = None
    while True:
        ended = item.run.result() is not None or (
            item.attempts and item.attempts[-1].submission.has_failed(item.run)
        )
        for file in files(item):
            with file.open("rb") as opened:
                opened.seek(read.get(file, 0))
                new = opened.read()
            new = new[: new.rfind(b"\n") + 1]  # half a line waits for its other half
            read[file] = read.get(file, 0) + len(new)
            if new:
                _say(say, file if file != last else None, new)
                last = file
        if ended:
            return
        time.sleep(POLL_S)


def _say(say: Say, title: object, text: bytes) -> None:
    if title is not None:
        say(f"==> {title}")
    say(text.decode(errors="replace").rstrip("\n"))
