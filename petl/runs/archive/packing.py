"""Packing the finished runs of a study into its archive, and unpacking them: `petl compact`.

Nothing is removed before its replacement is whole and on the disk. A new pair of files is written
under temporary names, flushed and renamed. Then each run's folder is renamed, compared with the
archive byte by byte, and only then removed. So a kill at any moment leaves every run whole, as a
folder or packed, and the next call cleans up and continues.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from petl.errors import UserError, reason
from petl.runs.archive.format import DATA, FOLDER, INDEX, NEW, Archive, Damaged, archive
from petl.runs.archive.packable import AT_WORK, Unpackable, files_of, finished, run_folders
from petl.runs.archive.writer import Writer
from petl.runs.claim import Claim, RunIsTaken, is_alive
from petl.runs.directory import RunDir

GOING, COMING = ".going.", ".coming."
"""Prefixes of a folder that is about to be removed, and of one that is being unpacked."""
IDS = "[0-9a-f]" * 16
PACKED = "packed"
DAMAGED = "damaged and left packed: petl doctor STUDY"

Tell = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and the total."""


@dataclass
class Preview:
    """What `pack` or `unpack` would do."""

    runs: list[str] = field(default_factory=list)
    files: int = 0
    """The files and folders of these runs."""
    size: int = 0
    left: Counter[str] = field(default_factory=Counter)
    """The reasons why other runs stay as they are."""
    interrupted: bool = False
    """An earlier call was killed and left something to clean up."""


def preview_pack(study: Path, wanted: Collection[str] | None = None) -> Preview:
    """The finished runs. Reads names and sizes only."""
    begun = (*study.glob(GOING + IDS), *study.glob(COMING + IDS), *study.glob(f"{FOLDER}/{NEW}*"))
    preview = Preview(interrupted=bool(begun))
    for run in run_folders(study, wanted):
        try:
            files = finished(run)
        except FileNotFoundError:  # another process has just packed or removed it
            continue
        except Unpackable as why:
            preview.left[str(why)] += 1
            continue
        preview.runs.append(run.path.name)
        preview.files += 1 + len(files)
        preview.size += sum(path.stat().st_size for path in files.values())
    return preview


def preview_unpack(study: Path, wanted: Collection[str] | None = None) -> Preview:
    packed = archive(study)
    preview = Preview(left=Counter(f"{file}: {wrong}" for file, wrong in packed.unreadable))
    for run in sorted(run for run in packed if wanted is None or run in wanted):
        try:
            sizes = [piece.size for piece in packed.of[run].files(run).values()]
        except Damaged as error:
            preview.left[str(error)] += 1
            continue
        preview.runs.append(run)
        preview.files += 1 + len(sizes)
        preview.size += sum(sizes)
    return preview


def pack(study: Path, runs: Iterable[str], tell: Tell | None = None) -> Counter[str]:
    """Pack these runs. Counts what became of them: `packed`, or why one stays as it is."""
    runs = sorted(runs)
    with _alone(study, tell) as tell:
        result: Counter[str] = Counter()
        packed = archive(study)
        new = [run for run in runs if run not in packed]
        _check_room(study, new)
        with Writer(study / FOLDER) as writer:
            for i, run_id in enumerate(new, 1):
                tell("packing", i, len(new))
                try:
                    _add(RunDir(study / run_id), writer)
                except Unpackable as why:
                    result[str(why)] += 1
            for older in sorted(packed.packs, key=lambda pack: pack.size):
                few = writer.lines and older.size <= writer.size  # so there are never many pairs
                if few and older.is_whole():
                    writer.replace(older, older.lines)
            writer.finish()
        packed = archive(study)
        for replaced in packed.replaced:
            replaced.remove()
        retiring = [run for run in runs if run in packed]
        for i, run_id in enumerate(retiring, 1):
            tell("removing folders", i, len(retiring))
            result[_retire(study / run_id, packed)] += 1
        return result


def unpack(study: Path, runs: Iterable[str], tell: Tell | None = None) -> Counter[str]:
    """Make folders with the same bytes again. They leave the archive when all are on the disk.

    A damaged run stays packed; a pair of files with a damaged line is not written again.
    """
    with _alone(study, tell) as tell:
        packed, result = archive(study), Counter[str]()
        wanted = {run for run in runs if run in packed}
        for i, run_id in enumerate(sorted(wanted), 1):
            tell("unpacking", i, len(wanted))
            try:
                _unpack(study / run_id, packed)
                result["unpacked"] += 1
            except Damaged:
                result[DAMAGED] += 1
                wanted.remove(run_id)
        os.sync()  # one flush for all of them
        touched = (pack for pack in packed.packs if wanted.intersection(pack.lines))
        changed = [pack for pack in touched if pack.is_whole()]
        with Writer(study / FOLDER) as writer:
            for older in changed:
                writer.replace(older, [run for run in older.lines if run not in wanted])
            writer.finish()
        for older in changed:
            older.remove()
        return result


# --- one process at a time, and cleaning up after one that was killed -----------------------------


@contextmanager
def _alone(study: Path, tell: Tell | None) -> Iterator[Tell]:
    folder = study / FOLDER
    if folder.is_symlink():
        raise UserError(f"{folder}: a link, and petl packs runs into a real folder only")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with Claim(folder / "claim.json") as claim:
            _clean_up(study)

            def touch_and_tell(what: str, done: int, total: int) -> None:
                claim.touch()
                if tell is not None:
                    tell(what, done, total)

            yield touch_and_tell
        with suppress(OSError):
            folder.rmdir()  # if nothing is packed
    except RunIsTaken as taken:
        raise UserError(str(taken).replace("this run", "this archive")) from None
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {reason(error)}") from None


def _clean_up(study: Path) -> None:
    """Finish or undo what a killed process began."""
    folder, packed = study / FOLDER, archive(study)
    for path in folder.glob(f"{NEW}*"):
        path.unlink()
    for path in folder.glob(f"*{DATA}"):
        if not path.with_suffix(INDEX).exists():
            path.unlink()
    for replaced in packed.replaced:
        replaced.remove()
    for path in study.glob(COMING + IDS):
        if not path.is_symlink():
            shutil.rmtree(path)
    for path in study.glob(GOING + IDS):
        run_id = path.name.removeprefix(GOING)
        if not path.is_symlink() and _holds_all_of(packed, path, run_id):
            shutil.rmtree(path)
        else:
            path.rename(study / run_id)


def _check_room(study: Path, runs: Iterable[str]) -> None:
    need = sum(path.lstat().st_size for run in runs for path in (study / run).glob("*"))
    free = shutil.disk_usage(study).free
    if need > free:
        raise UserError(
            f"{study}: packing needs {need / 1e6:.0f} MB until the folders are removed, and only "
            f"{free / 1e6:.0f} MB are free; pack fewer at a time: petl compact STUDY fold=0"
        )


# --- runs as folders ------------------------------------------------------------------------------


def _add(run: RunDir, writer: Writer) -> None:
    """Pack a run, if it is finished and its result is whole."""
    try:
        content = {name: path.read_bytes() for name, path in finished(run).items()}
        result = run.result()
    except FileNotFoundError:
        raise Unpackable("removed by another process") from None
    except OSError as error:
        raise Unpackable(f"{run.path.name}: {reason(error)}") from None
    if result is None or result["run_id"] != run.path.name:
        raise Unpackable("its result is damaged or belongs to another run")
    writer.add(result, content.items())


def _retire(folder: Path, packed: Archive) -> str:
    """Remove a run's folder if the archive has the same bytes."""
    if not folder.is_dir() or folder.is_symlink():
        return PACKED
    if is_alive(folder / "claim.json"):
        return AT_WORK
    going = folder.with_name(GOING + folder.name)
    folder.rename(going)
    if not _holds_all_of(packed, going, folder.name):
        going.rename(folder)
        return "differs from its packed copy"
    shutil.rmtree(going)
    return PACKED


def _holds_all_of(packed: Archive, folder: Path, run_id: str) -> bool:
    """Is every file of the folder in the archive? A half-removed folder has fewer of them."""
    if run_id not in packed:
        return False
    pack = packed.of[run_id]
    try:
        pieces = pack.files(run_id)
        return all(
            name in pieces and path.read_bytes() == pack.read(pieces[name])
            for name, path in files_of(folder).items()
        )
    except (Unpackable, Damaged):
        return False


def _unpack(folder: Path, packed: Archive) -> None:
    """Whole or not at all. A folder that is there already stays if it is the same."""
    pack = packed.of[folder.name]
    pieces = pack.files(folder.name)
    if os.path.lexists(folder):
        same = files_of(folder).keys() == pieces.keys()
        if not (same and _holds_all_of(packed, folder, folder.name)):
            raise UserError(f"{folder}: exists and differs from the packed run; move it away")
        return
    coming = folder.with_name(COMING + folder.name)
    content = {name: pack.read(piece) for name, piece in pieces.items()}
    coming.mkdir()
    for name, data in content.items():
        path = coming / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    coming.rename(folder)
