"""A disk that a test can fill, and make read-only."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path


class SmallDisk:
    """A file system of its own for a test, of 8 MB."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.ballast = folder / "ballast"

    def fill(self) -> None:
        with suppress(OSError), self.ballast.open("wb") as file:
            while True:
                file.write(bytes(4096))
                file.flush()

    def free(self) -> None:
        self.ballast.unlink()

    def read_only(self, flag: str = "ro") -> None:
        subprocess.run(["mount", "-o", f"remount,{flag}", str(self.folder)], check=True)

    def writable(self) -> None:
        self.read_only("rw")
