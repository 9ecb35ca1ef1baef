"""What tests of several rooms share."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from petl.config.study import Study, load_study
from petl.places import Places

# A shell that starts the tests in the background lets them ignore SIGINT, and so do the processes
# that they start: but some of those are to be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def golden() -> Path:
    """Numbers recorded from the released code."""
    return ROOT / "tests" / "golden"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real recordings, too large to come along."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real audio is not here: {folder} does not exist")
    return folder


@pytest.fixture
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Study:
    """The study that the test's module has as `STUDY`."""
    path = tmp_path / "study.yaml"
    path.write_text(request.module.STUDY)
    return load_study(path)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "runs", tmp_path / "data", tmp_path / "cache")


@pytest.fixture(scope="session")
def golden_ssl() -> Path:
    """Numbers recorded from a released recipe for self-supervised checkpoints."""
    folder = ROOT.parent / "shared" / "golden_ssl"
    if not folder.is_dir():
        pytest.skip(f"recorded numbers are not here: {folder} does not exist")
    return folder
