"""How a job's Python is called: with words, on any node and in any container."""

from __future__ import annotations

START = (
    "import sys; sys.path = [p for p in sys.path if p]; "
    "from {module} import {name}; sys.exit({name}(*sys.argv[1:]))"
)


def python_arguments(entry: str, *words: object) -> list[str]:
    """What makes Python call `entry`, such as `slurm.node.job:array_job`, with these words.

    A job starts in whatever folder its user was in. `python -m` puts that folder first on sys.path:
    a `json.py` or a `slurm/` in there would be imported instead of the real one. `python -P` does
    not, but only from 3.11 on, and who submits does not know the Python of a container. `-c` puts
    the folder there too, as an empty string, which its first line removes before any other import.
    """
    module, _, name = entry.partition(":")
    return ["-u", "-c", START.format(module=module, name=name), *map(str, words)]
