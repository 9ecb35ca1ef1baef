"""The name of a study, and of its dataset, from the files that they are in."""

from __future__ import annotations

import re
from pathlib import Path

from petl.errors import UserError


def study_name(path: Path) -> str:
    """From the folder's or file's name; it becomes a corpus's name too."""
    path = path.absolute()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem if path.is_file() else path.name)
    return name.strip("-._") or "sounds"


def checked_name(out: Path) -> str:
    """Of the study and of its corpus, from the name of its file."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", out.stem) or out.suffix != ".yaml":
        raise UserError(f"{out}: name it with letters, digits, . _ - and .yaml at its end")
    return out.stem
