"""What a run and its job have printed, once or as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from slurm.status.plan import Item

POLL_S = 1.0
Say = Callable[[str], None]


def files(item: Item) -> list[Path]:
    """What its job printed, and what the run itself wrote down; in the order of reading."""
    found = []
    for submission, at in item.tries:
        job = submission.job(at)
        if job:
            found.append(submission.log(job))
    return [file for file in (*found[-1:], item.run.log_file) if file.exists()]


def show(item: Item, say: Say) -> None:
    for file in files(item):
        say(f"==> {file}")
        say(file.read_text(encoding="utf-8", errors="replace").rstrip("\n"))
    log = item.run.log_file
    if not log.exists() and (packed := item.run.read(log.name)) is not None:
        say(f"==> {log}, packed")
        say(packed.decode(errors="replace").rstrip("\n"))


def follow(item: Item, say: Say) -> None:
    """Whatever is added, until the run has ended."""
    read: dict[Path, int] = {}
    last: Path | None = None
    while True:
        ended = item.run.result() is not None or (
            item.tries and item.tries[-1].submission.has_failed(item.run)
        )
        for file in files(item):
            with file.open("rb") as opened:
                opened.seek(read.get(file, 0))
                new = opened.read()
            new = new[: new.rfind(b"\n") + 1]  # half a line is not worth showing
            read[file] = read.get(file, 0) + len(new)
            if new:
                if file != last:
                    say(f"==> {file}")
                last = file
                say(new.decode(errors="replace").rstrip("\n"))
        if ended:
            return
        time.sleep(POLL_S)
