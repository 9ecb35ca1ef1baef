"""Runs of a bundle, to be trained again. Its code runs only if the user trusts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from petl.errors import UserError
from petl.reproduce.compare import Copy, spread_over_folds
from petl.reproduce.environment import Surroundings
from petl.reproduce.verify import Checked, read_code, read_copy, read_machine_of
from petl.runs.code.archive import Frozen, running
from slurm.reproduce.again import Original, Trust, drawn, recorded_code


@contextmanager
def originals(checked: Checked, number: int, seed: int, trust: Trust) -> Iterator[list[Original]]:
    """The archives of code that are needed exist while this is open, in a private folder."""
    with TemporaryDirectory(prefix="petl-bundle-") as folder:
        yield [
            _original(checked, run_id, trust, Path(folder))
            for run_id in drawn(checked.names, number, seed)
        ]


def _original(checked: Checked, run_id: str, trust: Trust, folder: Path) -> Original:
    task, copy = checked.names[run_id], read_copy(checked.path, run_id)
    facts = copy.result["environment"]
    was = Surroundings(facts, read_machine_of(checked.path, facts.get("machine")))
    cell = [
        read_copy(checked.path, other).result
        for other, its in checked.names.items()
        if its.names == task.names and its.seed == task.seed
    ]
    spread = spread_over_folds(cell)
    return Original(task, copy, was, spread, _code(checked.path, copy, trust, folder))


def _code(path: Path, copy: Copy, trust: Trust, folder: Path) -> Frozen | None:
    code = recorded_code(copy.result)
    if trust.current or code.source == running().source:
        return None
    if not (data := code.archive and read_code(path, code.archive)):
        raise UserError(
            f"{path}: its runs were made with other code ({code.name}) than what is installed, and "
            "it is not in the bundle; install that commit, or train with the installed code: "
            "--code current"
        )
    if not trust.anybody:
        raise UserError(
            f"{path}: its runs were made with other code ({code.name}) than what is installed; "
            "install that commit, or read the bundle's code/ and pass --trust, or train with the "
            "installed code: --code current"
        )
    frozen = Frozen(folder / f"{code.archive}.zip", code)
    frozen.path.write_bytes(data)
    return frozen
