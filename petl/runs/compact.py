"""Packing finished runs of a study, and unpacking them: what `petl compact` does.

Nothing is removed before what takes its place is whole and on the disk. A pair of files is written
aside, flushed and renamed; then each run's folder is renamed out of sight, compared with the pack
byte by byte, and only then removed. So a kill at any moment leaves every run in at least one whole
form, and the next call clears up and goes on.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from petl.errors import UserError, reason
from petl.runs.claim import Claim, RunIsTaken, is_alive
from petl.runs.directory import RUN_ID, RunDir
from petl.runs.packed import DATA, FOLDER, INDEX, NEW, Pack, Packs, Writer, packs
from petl.runs.result import summary

GOING, COMING = ".going.", ".coming."
"""Before the id of a folder that is about to be removed, and of one that is being unpacked."""
LEFT_BEHIND = frozenset(
    {"claim.json", "resume.safetensors", "resume.before.safetensors", "resume.new.safetensors"}
)
"""Of a finished run nobody needs them any more."""

PACKED, AT_WORK = "packed", "still being worked on"

Tell = Callable[[str, int, int], None]
"""What is being done, how much of it is done, of how much."""


def nothing(what: str, n: int, of: int) -> None:
    pass


@dataclass
class Offer:
    """What could be done with a study's folder, before anything is."""

    runs: list[str] = field(default_factory=list)
    files: int = 0
    """What these runs take now, folders included."""
    size: int = 0
    left: Counter[str] = field(default_factory=Counter)
    """Why the others stay as they are."""
    interrupted: bool = False
    """Somebody was killed at it: there is something to clear up."""


def offer(study: Path, wanted: Collection[str] | None = None) -> Offer:
    """Which runs can be packed: those that are done. Looks at names and sizes only."""
    begun = (*study.glob(f"{GOING}*"), *study.glob(f"{COMING}*"), *study.glob(f"{FOLDER}/{NEW}*"))
    found = Offer(interrupted=bool(begun))
    for run in _folders(study, wanted):
        try:
            files = _files(run.path)
        except FileNotFoundError:  # packed or removed by somebody else just now
            continue
        except _Unpackable as why:
            found.left[str(why)] += 1
            continue
        if (reason := _unfit(run, files)) is not None:
            found.left[reason] += 1
            continue
        found.runs.append(run.path.name)
        found.files += 1 + len(files)
        found.size += sum(path.stat().st_size for path in files.values())
    return found


def offer_undo(study: Path, wanted: Collection[str] | None = None) -> Offer:
    packed = packs(study)
    found = Offer(sorted(run for run in packed if wanted is None or run in wanted))
    pieces = [piece for run in found.runs for piece in packed.of[run].pieces(run)]
    found.files, found.size = len(found.runs) + len(pieces), sum(piece.size for piece in pieces)
    return found


def compact(study: Path, runs: Iterable[str], tell: Tell = nothing) -> Counter[str]:
    """Pack these runs. Counts what became of them: `packed`, or why one stays as it is."""
    runs = sorted(runs)
    with _alone(study, tell) as (folder, tell):
        became: Counter[str] = Counter()
        packed = packs(study)
        new = [run for run in runs if run not in packed]
        _room_for(study, new)
        with Writer(folder) as writer:
            for i, run_id in enumerate(new, 1):
                tell("packing", i, len(new))
                try:
                    _pack(RunDir(study / run_id), writer)
                except _Unpackable as why:
                    became[str(why)] += 1
            for pack in sorted(packed.packs, key=lambda pack: pack.size):
                if writer.lines and pack.size <= writer.size:  # so there are never many pairs
                    writer.take_over(pack, pack.lines)
            writer.finish()
        packed = packs(study)
        _remove_replaced(packed)
        there = [run for run in runs if run in packed]
        for i, run_id in enumerate(there, 1):
            tell("removing folders", i, len(there))
            became[_retire(study / run_id, packed)] += 1
        return became


def undo(study: Path, runs: Iterable[str], tell: Tell = nothing) -> int:
    """Folders again, of the same bytes. The pack forgets them when all are on the disk."""
    with _alone(study, tell) as (folder, tell):
        packed = packs(study)
        wanted = {run for run in runs if run in packed}
        for i, run_id in enumerate(sorted(wanted), 1):
            tell("unpacking", i, len(wanted))
            _unpack(study / run_id, packed)
        os.sync()  # one flush for all of them
        touched = [pack for pack in packed.packs if wanted.intersection(pack.lines)]
        rest = {pack: [run for run in pack.lines if run not in wanted] for pack in touched}
        with Writer(folder) as writer:
            for pack, stay in rest.items():
                writer.take_over(pack, stay)
            writer.finish()
        for pack in touched:
            _remove(pack)
        return len(wanted)


# --- alone, and after whoever was killed ----------------------------------------------------------


@contextmanager
def _alone(study: Path, tell: Tell) -> Iterator[tuple[Path, Tell]]:
    folder = study / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with Claim(folder / "claim.json") as claim:
            _clear_up(study)

            def touching(what: str, n: int, of: int) -> None:
                claim.touch()
                tell(what, n, of)

            yield folder, touching
        with suppress(OSError):
            folder.rmdir()  # if nothing is packed
    except RunIsTaken as taken:
        raise UserError(str(taken).replace("this run", "this pack")) from None
    except OSError as error:
        where = error.filename or folder
        raise UserError(f"{where}: {reason(error)}") from None


def _clear_up(study: Path) -> None:
    """Finish, or take back, what a killed one has begun."""
    folder, packed = study / FOLDER, packs(study)
    for path in folder.glob(f"{NEW}*"):
        path.unlink()
    for path in folder.glob(f"*{DATA}"):
        if not path.with_suffix(INDEX).exists():
            path.unlink()
    _remove_replaced(packed)
    for path in study.glob(f"{COMING}*"):
        shutil.rmtree(path)
    for path in study.glob(f"{GOING}*"):
        if _holds_all_of(packed, path, path.name.removeprefix(GOING)):
            shutil.rmtree(path)
        else:
            path.rename(study / path.name.removeprefix(GOING))


def _remove_replaced(packed: Packs) -> None:
    for pack in packed.replaced:
        _remove(pack)


def _remove(pack: Pack) -> None:
    pack.index.unlink(missing_ok=True)  # first: without it the other does not count
    pack.data.unlink(missing_ok=True)


def _room_for(study: Path, runs: Sequence[str]) -> None:
    need = sum(path.stat().st_size for run in runs for path in (study / run).glob("*"))
    free = shutil.disk_usage(study).free
    if need > free:
        raise UserError(
            f"{study}: packing takes {need / 1e6:.0f} MB beside the runs until they are removed, "
            f"and {free / 1e6:.0f} MB are free; fewer at a time: petl compact STUDY fold=0"
        )


# --- runs as folders ------------------------------------------------------------------------------


class _Unpackable(Exception):
    """Why a run stays a folder."""


def _folders(study: Path, wanted: Collection[str] | None) -> Iterator[RunDir]:
    if not study.is_dir():
        raise UserError(f"{study}: no runs are there; --runs or PETL_RUNS names the folder")
    with os.scandir(study) as entries:
        names = sorted(entry.name for entry in entries if RUN_ID.fullmatch(entry.name))
    for name in names:
        if wanted is None or name in wanted:
            yield RunDir(study / name)


def _files(folder: Path, prefix: str = "") -> dict[str, Path]:
    """What is to be kept of a run's folder, by the name in it."""
    found: dict[str, Path] = {}
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            name = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                found |= _files(Path(entry.path), f"{name}/")
            elif not entry.is_file(follow_symlinks=False):
                raise _Unpackable("holds something that is no plain file")
            elif name not in LEFT_BEHIND and not name.startswith("."):
                found[name] = Path(entry.path)
    return found


def _unfit(run: RunDir, files: Collection[str]) -> str | None:
    if run.result_file.name not in files or run.task_file.name not in files:
        return "unfinished"
    if is_alive(run.claim_file):
        return AT_WORK
    return None


def _pack(run: RunDir, writer: Writer) -> None:
    """Refuse what is not a finished run through and through."""
    try:
        files = _files(run.path)
        if (reason := _unfit(run, files)) is not None:
            raise _Unpackable(reason)
        result = run.result()
        content = {name: path.read_bytes() for name, path in files.items()}
    except FileNotFoundError:
        raise _Unpackable("gone meanwhile") from None
    except UserError:
        raise _Unpackable("of another version") from None
    if result is None or result["run_id"] != run.path.name:
        raise _Unpackable("its result is damaged or another run's")
    writer.add(run.path.name, result["task"], summary(result), content.items())


def _retire(folder: Path, packed: Packs) -> str:
    """Remove a run's folder if its pack holds the very bytes."""
    if not folder.exists():
        return PACKED
    if is_alive(folder / "claim.json"):
        return AT_WORK
    going = folder.with_name(GOING + folder.name)
    folder.rename(going)
    if not _holds_all_of(packed, going, folder.name):
        going.rename(folder)
        return "differs from what is packed"
    shutil.rmtree(going)
    return PACKED


def _holds_all_of(packed: Packs, folder: Path, run_id: str) -> bool:
    """Then the folder may go. One that is half removed may go all the more."""
    if run_id not in packed:
        return False
    pack = packed.of[run_id]
    pieces = {piece.name: piece for piece in pack.pieces(run_id)}
    try:
        files = _files(folder)
    except _Unpackable:
        return False
    return all(
        name in pieces and path.read_bytes() == pack.read(pieces[name])
        for name, path in files.items()
    )


def _unpack(folder: Path, packed: Packs) -> None:
    """Whole or not at all; what is there already is left if it is the same."""
    pack = packed.of[folder.name]
    if folder.exists():
        whole = _files(folder).keys() == {piece.name for piece in pack.pieces(folder.name)}
        if not (whole and _holds_all_of(packed, folder, folder.name)):
            raise UserError(f"{folder}: is there, and is not what is packed; move it away")
        return
    coming = folder.with_name(COMING + folder.name)
    coming.mkdir()
    for piece in pack.pieces(folder.name):
        path = coming / piece.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pack.read(piece))
    coming.rename(folder)
