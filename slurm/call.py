"""How a job's Python is called: with words, on any node and in any container."""

from __future__ import annotations

import inspect
import sysconfig
from pathlib import Path

from petl.runs.code import unpack
from petl.runs.code.archive import Frozen

CLEAN = "import sys; sys.path = [{first}*filter(None, sys.path)]"
CALL = "from {module} import {name}; sys.exit({name}(*sys.argv[1:]))"
ROOT = str(Path(__file__).absolute().parents[1])
"""Where this petl is: a checkout, or the environment's packages."""


def python_arguments(
    entry: str, *words: object, same: bool = False, frozen: Frozen | None = None
) -> list[str]:
    """What makes Python call `entry`, such as `slurm.node.job:array_job`, with these words.

    A job starts in whatever folder its user was in. `python -m` puts that folder first on sys.path:
    a `json.py` or a `slurm/` in there would be imported instead of the real one. `python -P` does
    not, but only from 3.11 on, and who submits does not know the Python of a container. `-c` puts
    the folder there too, as an empty string, which its first line removes before any other import.

    With `same`, for a job of the same Python, this petl comes first, also when it is a checkout and
    another one is installed. Installed packages stay in their place: behind the standard library.

    With `frozen`, everything of ours comes from that archive, once it has been checked.
    """
    module, _, name = entry.partition(":")
    ours = same and not frozen and sysconfig.get_path("purelib") != ROOT
    first = f"{ROOT!r}, " if ours else ""
    clean, call = CLEAN.format(first=first), CALL.format(module=module, name=name)
    if frozen is None:
        return ["-u", "-c", f"{clean}; {call}", *map(str, words)]
    start = "\n".join([clean, inspect.getsource(unpack), "use(sys.argv.pop(1))", call])
    return ["-u", "-c", start, frozen.word, *map(str, words)]


def without_here(environment: dict[str, str]) -> dict[str, str]:
    """Python takes an empty entry, as in `PYTHONPATH=$PYTHONPATH:/lib`, for the current folder."""
    if path := environment.get("PYTHONPATH"):
        return environment | {"PYTHONPATH": ":".join(filter(None, path.split(":")))}
    return environment
