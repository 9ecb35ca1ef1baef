"""A job's code lies in a folder that others may write: whatever they put there runs nothing."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from petl.runs.code.archive import Code, CodeArchive, Frozen, build
from petl.runs.code.unpack import LIMIT, unpack
from slurm.call import python_arguments

ENTRY = "slurm.node.job:array_job"
"""Called with words for a manifest that is not there, it gets as far as reading it."""


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def of(data: bytes) -> CodeArchive:
    return CodeArchive(data, Code(hashlib.sha256(data).hexdigest(), "0" * 64, None), b"")


def start(frozen: Frozen, here: Path) -> subprocess.CompletedProcess[str]:
    (here / "tmp").mkdir(exist_ok=True)
    words = (here / "a/b/c/d/nowhere", 0, here, here)
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(here / "tmp")}
    return subprocess.run(
        [sys.executable, *python_arguments(ENTRY, *words, frozen=frozen)],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def frozen(tmp_path: Path) -> Frozen:
    return build().keep(tmp_path / "runs")


def test_a_job_imports_from_its_private_copy_and_removes_it(frozen: Frozen, tmp_path: Path) -> None:
    """Neither the folder that it starts in nor PYTHONPATH, nor the checkout, comes first."""
    for name in ("petl", "slurm", "json", "zipfile", "hashlib"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(f'{__file__} was imported')\n")
    told = start(frozen, tmp_path)
    assert "a/b/c/d" in told.stderr and "was imported" not in told.stderr
    private = tmp_path / "tmp" / "petl-code-"
    assert str(private) in told.stderr and "UserError" in told.stderr  # as far as the manifest
    assert not list((tmp_path / "tmp").iterdir())


ATTACKS = ("another archive", "a link", "a link to the right one", "a pipe", "a folder", "nothing")


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_replaces_an_archive_is_refused_in_one_line(
    frozen: Frozen, tmp_path: Path, attack: str
) -> None:
    mark = tmp_path / "mark"
    evil = packed({"slurm/__init__.py": f"open({str(mark)!r}, 'w')".encode()})
    right = frozen.path.read_bytes()
    frozen.path.unlink()
    if attack == "another archive":
        frozen.path.write_bytes(evil)
    elif attack.startswith("a link"):
        (tmp_path / "theirs.zip").write_bytes(right if "right" in attack else evil)
        frozen.path.symlink_to(tmp_path / "theirs.zip")
    elif attack == "a pipe":
        os.mkfifo(frozen.path)
    elif attack == "a folder":
        frozen.path.mkdir()
    told = start(frozen, tmp_path)
    assert told.returncode == 1 and not mark.exists()
    assert told.stderr.startswith(f"petl: {frozen.path}: ") and told.stderr.count("\n") == 1
    assert not list((tmp_path / "tmp").iterdir())


def test_an_archive_that_does_not_end_is_read_to_a_limit(frozen: Frozen, tmp_path: Path) -> None:
    with frozen.path.open("r+b") as file:
        file.truncate(2**40)  # sparse
    limited = ["/bin/sh", "-c", f'ulimit -v {8 * LIMIT // 1024}; exec "$@"', "sh"]
    call = python_arguments(ENTRY, "nowhere", 0, "a", "b", frozen=frozen)
    told = subprocess.run(
        [*limited, sys.executable, *call], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert told.returncode == 1 and "SHA-256" in told.stderr and told.stderr.count("\n") == 1


def test_an_archive_from_elsewhere_writes_only_into_its_folder(tmp_path: Path) -> None:
    """Its hash is right, as in a bundle that somebody has made up."""
    names = {"../out.py": b"", "/tmp/petl-out.py": b"", "petl/../../out.py": b"", "petl/a.py": b""}
    into = tmp_path / "private"
    into.mkdir()
    frozen = of(packed(names)).keep(tmp_path / "runs")
    unpack(str(frozen.path), str(frozen.code.archive), str(into))
    assert not list(tmp_path.glob("*.py")) and not Path("/tmp/petl-out.py").exists()
    assert (into / "petl/a.py").exists()


@pytest.mark.parametrize("size", [LIMIT + 1, 0])
def test_a_bomb_and_a_broken_archive_are_refused(tmp_path: Path, size: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("petl/a.py", bytes(size))
    data = buffer.getvalue() if size else buffer.getvalue()[:-10]
    frozen = of(data).keep(tmp_path / "runs")
    with pytest.raises(ValueError, match=r"too large|not an archive"):
        unpack(str(frozen.path), str(frozen.code.archive), str(tmp_path / "private"))
    assert not (tmp_path / "private").exists()
