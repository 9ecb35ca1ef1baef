"""`petl env --verify`: installed files against the lock and against their own lists."""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path

import pytest

from petl.errors import UserError
from petl.reproduce import packages
from petl.reproduce.packages import Report, pinned, too_old

CODE = b"answer = 42\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages with one in it, as pip leaves it."""
    folder = tmp_path / "site-packages"
    (folder / "thing-1.0.dist-info").mkdir(parents=True)
    (folder / "thing.py").write_bytes(CODE)
    metadata = b"Metadata-Version: 2.1\nName: Thing\nVersion: 1.0+cpu\n"
    (folder / "thing-1.0.dist-info" / "METADATA").write_bytes(metadata)
    rows = [f"thing.py,{_hash(CODE)},{len(CODE)}"]
    rows += [f"thing-1.0.dist-info/METADATA,{_hash(metadata)},", "thing-1.0.dist-info/RECORD,,"]
    (folder / "thing-1.0.dist-info" / "RECORD").write_text("\n".join(rows) + "\n")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "thing.cpython-310.pyc").write_bytes(b"cache")
    (tmp_path / "some.lock").write_text("thing==1.0 \\\n    --hash=sha256:00\n")
    monkeypatch.setattr(packages.sysconfig, "get_path", lambda name: str(folder))
    from importlib.metadata import distributions

    monkeypatch.setattr(packages, "distributions", lambda: distributions(path=[str(folder)]))
    monkeypatch.setattr("petl.runs.machine.distributions", packages.distributions)
    return folder


def _hash(content: bytes) -> str:
    digest = hashlib.sha256(content).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def verify(site: Path) -> Report:
    return packages.verify([site.parent / "some.lock"], lambda *args: None)


def test_what_is_as_locked_is_called_so(site: Path) -> None:
    report = verify(site)
    assert (report.verdict, report.packages, report.files) == ("as locked", 1, 2)


def test_an_edited_a_missing_and_a_strange_file_are_named(site: Path) -> None:
    (site / "sitecustomize.py").write_text("import os\n")
    (site / "thing.py").write_bytes(CODE.replace(b"42", b"43"))
    report = verify(site)
    assert report.wrong == ["changed: thing.py of thing"]
    assert report.extra == [f"file {site / 'sitecustomize.py'}"]
    (site / "thing.py").unlink()
    assert verify(site).wrong == ["missing: thing.py of thing"]


def test_versions_are_compared_with_the_lock(site: Path) -> None:
    lock = site.parent / "some.lock"
    lock.write_text("thing==1.1 \\\n    --hash=sha256:00\nother==2.0\n")
    assert verify(site).wrong == [
        "missing: other 2.0",
        "changed: thing is 1.0+cpu, locked is 1.1",
    ]
    lock.write_text("something==1\n")
    report = verify(site)
    assert report.extra == ["package thing 1.0+cpu"] and report.wrong == ["missing: something 1"]


def test_a_file_that_is_no_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.lock").write_text("# nothing\n")
    with pytest.raises(UserError, match="no line such as"):
        pinned(tmp_path / "empty.lock")


def test_an_environment_finds_its_own_lock_by_the_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locks").mkdir()
    own = tmp_path / "locks" / "requirements-modern.lock"
    own.write_text("numpy==1.0\n")
    own.with_name("torch-modern.txt").write_text("torch==2.0\n")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PETL_LOCK_HASH", hashlib.sha256(own.read_bytes()).hexdigest())
    assert packages.known_locks() == [own, own.with_name("torch-modern.txt")]
    monkeypatch.setenv("PETL_LOCK_HASH", "0" * 64)
    with pytest.raises(UserError, match="--lock"):
        packages.known_locks()


def test_each_cuda_needs_a_driver_of_its_time() -> None:
    assert too_old("11.7", "470.82.01") == "" == too_old("12.6", "525.60.13")
    assert too_old("12.6", "470.82.01") == "driver 470.82.01: CUDA 12.6 needs 525.60 or later"


def test_torch_is_held_against_the_driver_and_the_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    assert packages.gpu_problems() == [] or packages.driver()
    monkeypatch.setattr(packages, "driver", lambda: "470.82.01")
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "built for CPUs only" in packages.gpu_problems()[0]
    monkeypatch.setattr(torch.version, "cuda", "12.6")
    assert "needs 525.60 or later" in packages.gpu_problems()[0]
    monkeypatch.setattr(torch.version, "cuda", "11.7")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_80", "sm_86"])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: "H100")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda i: (9, 0))
    (problem,) = packages.gpu_problems()
    assert "no kernels for H100 (compute capability 9.0)" in problem
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda i: (8, 6))
    assert packages.gpu_problems() == []
