"""What tests of several rooms share."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

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
