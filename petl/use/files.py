"""Which sound files a person means: files, folders, or a list on stdin. Light: no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from petl.errors import UserError, reason

COMMON = ("wav", "wave", "flac", "ogg", "oga", "opus", "mp3", "aif", "aiff", "aifc", "au", "snd")
AUDIO = frozenset(f".{name}" for name in (*COMMON, "caf", "w64", "rf64", "sph"))
"""What a folder is searched for; a file that is named is tried whatever it is called."""


def sound_files(said: Sequence[str], stdin: TextIO) -> list[Path]:
    """In the order given, a folder's in alphabetical order; `-` is a list, one path a line."""
    found: list[Path] = []
    for item in said:
        if item == "-":
            found += [Path(line) for line in stdin.read().splitlines() if line.strip()]
        elif Path(item).is_dir():
            found += _inside(Path(item))
        else:
            found.append(Path(item))
    if not found:
        raise UserError("the list on stdin is empty: one path a line is expected")
    return found


def _inside(folder: Path) -> list[Path]:
    files = sorted(_walk(folder))
    if not files:
        raise UserError(f"{folder}: no sound file in it ({', '.join(sorted(AUDIO))})")
    return files


def _walk(folder: Path) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        raise UserError(f"{error.filename}: {reason(error)}")

    for here, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if Path(name).suffix.lower() in AUDIO and not name.startswith("."):
                yield Path(here, name)
