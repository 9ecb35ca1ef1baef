"""The archive of the code: the same bytes for the same files, kept once, and named in full."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from petl.errors import UserError
from petl.runs.code import archive
from petl.runs.code.archive import Code, CodeArchive, build, diff_path, find
from petl.runs.code.tries import CodeOfTries
from petl.runs.code.unpack import unpack


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small one, with what does not belong into an archive."""
    root = tmp_path / "checkout"
    for name in ("petl/__init__.py", "petl/lr.py", "slurm/call.py", "experiments/presets.yaml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"# {name}\n")
    for name in ("slurm/clusters/mine.yaml", "petl/__pycache__/a.py", "petl/.a.py", "petl/a.swp"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("private")
    return root


def git(root: Path, *words: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True, timeout=30)


@pytest.fixture
def committed(checkout: Path) -> Path:
    git(checkout, "init")
    git(checkout, "add", "petl/__init__.py", "petl/lr.py", "slurm", "experiments")
    git(checkout, "commit", "-m", "first")
    return checkout


def names(made: CodeArchive, folder: Path) -> list[str]:
    (folder / "code.zip").write_bytes(made.data)
    with zipfile.ZipFile(folder / "code.zip") as packed:
        return packed.namelist()


def test_the_same_files_give_the_same_bytes_and_nothing_private_is_in_them(
    checkout: Path, tmp_path: Path
) -> None:
    made = build(checkout)
    copy = shutil.copytree(checkout, tmp_path / "elsewhere")
    (copy / "petl" / "lr.py").touch()
    (copy / "petl" / "lr.py").chmod(0o700)
    assert build(copy) == made
    files = ["experiments/presets.yaml", "petl/__init__.py", "petl/lr.py", "slurm/call.py"]
    assert names(made, tmp_path) == files


def test_a_preset_is_no_program(checkout: Path) -> None:
    """Tasks hold its values already: whoever adds one has not mixed two codes."""
    before = build(checkout).code
    (checkout / "experiments/presets.yaml").write_text("another: 1\n")
    after = build(checkout).code
    assert after.archive != before.archive and after.source == before.source
    (checkout / "petl/lr.py").write_text("lr = 2\n")
    assert build(checkout).code.source != before.source


def test_this_very_code_is_whole_and_packed_within_a_second(tmp_path: Path) -> None:
    """In a job it is imported without the checkout: tests/security/test_frozen_code.py."""
    files = names(build(), tmp_path)
    assert {"petl/train/loop.py", "petl/backbones/small/model.safetensors"} < set(files)
    assert not any("clusters" in name or "pycache" in name for name in files)


def test_code_is_kept_once_beside_its_difference(committed: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir(mode=0o750)
    clean = build(committed)
    assert not clean.diff and len(clean.code.commit or "") == 40
    (committed / "petl/lr.py").write_text("lr = 2\n")
    (committed / "petl/new.py").write_text("new = True\n")
    (committed / "README.md").write_text("not the program\n")
    made = build(committed)
    assert made.code.commit == f"{clean.code.commit}-dirty"
    first = made.keep(runs)
    before = first.path.stat().st_ino
    assert made.keep(runs) == first == find(runs, made.code)
    assert first.path.stat().st_ino == before  # not written again
    diff = diff_path(runs, str(made.code.archive))
    text = diff.read_text()
    assert f"commit {clean.code.commit}" in text and "+lr = 2" in text and "+new = True" in text
    assert "not the program" not in text
    assert {path.stat().st_mode & 0o777 for path in (first.path, diff)} == {0o640}
    assert first.path.parent.stat().st_mode & 0o777 == 0o750


def test_packages_inside_somebody_elses_repository_have_no_commit(committed: Path) -> None:
    packages = committed / ".venv" / "site-packages"
    for folder in ("petl", "slurm", "experiments"):
        shutil.copytree(committed / folder, packages / folder)
    assert build(packages).code.commit is None
    assert build(packages).code.source == build(committed).code.source


@pytest.mark.parametrize("damage", ["changed", "cut", "link"])
def test_a_damaged_archive_is_refused_and_written_again(
    checkout: Path, tmp_path: Path, damage: str
) -> None:
    made = build(checkout)
    frozen = made.keep(tmp_path)
    if damage == "link":
        frozen.path.rename(tmp_path / "moved.zip")
        frozen.path.symlink_to(tmp_path / "moved.zip")
    else:
        frozen.path.write_bytes(made.data[:-9] + (b"" if damage == "cut" else b"123456789"))
    into = tmp_path / "into"
    with pytest.raises((OSError, ValueError)):
        unpack(str(frozen.path), made.code.archive, str(into))
    assert not into.exists()
    if damage == "link":
        with pytest.raises(UserError, match="a link"):
            made.keep(tmp_path)
        return
    unpack(str(made.keep(tmp_path).path), made.code.archive, str(into))
    assert (into / "petl/lr.py").read_text() == "# petl/lr.py\n"


def test_code_that_was_not_frozen_or_is_gone_is_named(checkout: Path, tmp_path: Path) -> None:
    code = build(checkout).code
    with pytest.raises(UserError, match=r"\.zip: missing"):
        find(tmp_path, code)
    with pytest.raises(UserError, match="was not frozen"):
        find(tmp_path, replace(code, archive=None))


def test_a_folder_of_code_that_is_a_link_is_refused(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / archive.FOLDER).symlink_to(tmp_path / "theirs")
    with pytest.raises(UserError, match="a link"):
        build(checkout).keep(tmp_path)


NEW, OLD = Code("1" * 64, "a" * 64, "c" * 40), Code("2" * 64, "b" * 64, None)


def test_each_change_of_code_between_tries_is_a_row(checkout: Path) -> None:
    first = CodeOfTries(OLD)
    assert first.to_json()["mixed"] is False and len(first.rows) == 1
    again = CodeOfTries(OLD)
    again.resume(first.rows, 2, 3)
    assert again.rows == first.rows
    other = CodeOfTries(NEW)
    other.resume(again.rows, 3, 7)
    told = other.to_json()
    assert (told["archive"], told["source"], told["mixed"]) == (NEW.archive, NEW.source, True)
    assert [(row["from_try"], row["from_epoch"], row["source"]) for row in told["tries"]] == [
        (1, 1, OLD.source),
        (3, 7, NEW.source),
    ]


@pytest.mark.parametrize("rows", [[], None, [{"source": 1}], "rows", [[]]])
def test_a_checkpoint_that_does_not_tell_its_code_counts_as_another_code(rows: object) -> None:
    """One of an earlier version, or one that somebody has changed."""
    tries = CodeOfTries(NEW)
    tries.resume(rows, 2, 5)
    assert [row["source"] for row in tries.rows] == ["", NEW.source]
    assert tries.to_json()["mixed"] is True
