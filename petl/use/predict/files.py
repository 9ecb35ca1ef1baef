"""The sound files that a command line names: files, folders, or a list on stdin. No torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from petl.errors import UserError, reason

COMMON = ("wav", "wave", "flac", "ogg", "oga", "opus", "mp3", "aif", "aiff", "aifc", "au", "snd")
AUDIO = frozenset(f".{name}" for name in (*COMMON, "caf", "w64", "rf64", "sph"))
"""The files to look for in a folder. A file that is named is tried whatever its suffix."""


def sound_files(arguments: Sequence[str], stdin: TextIO) -> list[Path]:
    """In the order given, a folder's in alphabetical order; `-` reads a path from each line."""
    files: list[Path] = []
    for argument in arguments:
        if argument == "-":
            files += [Path(line) for line in stdin.read().splitlines() if line.strip()]
        elif Path(argument).is_dir():
            files += _in_folder(Path(argument))
        else:
            files.append(Path(argument))
    if not files:
        raise UserError("the list on stdin is empty; expected one path per line")
    return files


def _in_folder(folder: Path) -> list[Path]:
    files = sorted(_walk(folder))
    if not files:
        raise UserError(f"{folder}: no sound file in it ({', '.join(sorted(AUDIO))})")
    return files


def _walk(folder: Path) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        raise UserError(f"{error.filename}: {reason(error)}")

    for parent, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if Path(name).suffix.lower() in AUDIO and not name.startswith("."):
                yield Path(parent, name)
