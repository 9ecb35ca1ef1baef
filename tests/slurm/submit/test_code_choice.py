"""Which code jobs get: by default that of now, in an image the image's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from petl.cli import app
from petl.errors import UserError
from petl.runs.code.archive import build
from slurm.submit.code import for_cluster
from slurm.submit.profile import Profile

IMAGE = {"kind": "apptainer", "image": "/images/petl.sif"}
OTHER_PYTHON = {"kind": "venv", "python": "/project/bin/python"}


@pytest.mark.parametrize(
    ("container", "choice", "frozen"),
    [
        ({"kind": "venv"}, None, True),
        ({"kind": "venv"}, "current", False),
        (OTHER_PYTHON, None, True),
        (IMAGE, None, False),
        (IMAGE, "frozen", True),
    ],
)
def test_jobs_get_this_code_unless_their_image_has_its_own(
    container: dict[str, Any], choice: str | None, frozen: bool
) -> None:
    profile = Profile.model_validate({"time": "10", "container": container})
    assert for_cluster(choice, "mine", profile) == (build() if frozen else None)


def test_a_checkout_cannot_be_current_inside_an_image() -> None:
    profile = Profile.model_validate({"time": "10", "container": IMAGE})
    with pytest.raises(UserError, match="--code current: jobs of mine run in an image"):
        for_cluster("current", "mine", profile)


def test_a_script_names_the_code_in_full_and_showing_it_writes_nothing(tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text("{time: 10, max_array_size: 9}")
    words = ["submit", "quickstart", "--cluster", str(profile), "--print-script"]
    folders = [f"--{name}={tmp_path / name}" for name in ("runs", "data", "cache")]
    told = CliRunner().invoke(app, [*words, *folders])
    assert told.exit_code == 0 and f'"archive": "{build().code.archive}"' in told.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]
    current = CliRunner().invoke(app, [*words, *folders, "--code", "current"])
    assert "archive" not in current.stdout and "slurm.node.job" in current.stdout
