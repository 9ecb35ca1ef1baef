"""`petl figure samples`: the pictures that generators keep, whatever lies in their folders."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_figures import told

from analysis.figures.figure import draw
from petl.config.study import Study, study_of
from petl.errors import UserError
from petl.runs.directory import RunDir
from petl.runs.synthetic import fabricate

MATRIX = {
    **{"dataset": "esc50", "backbone": "ast-small", "method": ["gan", "flow"]},
    **{"fold": [0, 1], "seed": 1},
}


@pytest.fixture
def made(tmp_path: Path) -> tuple[Study, Path]:
    file = {"profile": "as-run", "matrix": MATRIX, "set": {"train": {"epochs": 2}}}
    study = study_of(file, "generators")
    fabricate(study, tmp_path)
    return study, tmp_path


def keep(made: tuple[Study, Path], number: int, content: bytes) -> Path:
    study, runs = made
    file = RunDir.of(study.tasks[number], runs).path / "samples.png"
    file.write_bytes(content)
    return file


def png(value: int, size: tuple[int, int] = (40, 20)) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", size, (value, 0, 0)).save(buffer, "png")
    return buffer.getvalue()


def test_each_generator_shows_the_picture_of_its_first_run(made: tuple[Study, Path]) -> None:
    for number in range(4):
        keep(made, number, png(60 * number))
    figure = draw("samples", *made)
    assert [axis.get_title("left") for axis in figure.axes] == ["GAN", "Rectified flow"]
    shown = [np.unique(axis.images[0].get_array()[..., 0]).tolist() for axis in figure.axes]
    assert shown == [[0], [120]]
    assert "GAN: fold 0, seed 1; Rectified flow: fold 0, seed 1" in told(figure)
    below = [axis.get_position().y1 for axis in draw("samples", *made, width="single").axes]
    assert below[0] > below[1]


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"<svg onload='alert(1)'/>", "cannot identify image file"),
        (png(0)[:60], "samples.png: "),
        (b"\x89PNG" + b"0" * 8_000_001, "over 8 MB"),
        (png(0, (6000, 5000)), "over 25 million pixels"),
        (png(0, (1, 20_000)), "over 25 times as tall as wide"),
    ],
)
def test_what_is_no_picture_is_named_and_the_next_run_is_shown(
    made: tuple[Study, Path], content: bytes, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = keep(made, 0, content)
    keep(made, 1, png(9))
    assert "GAN: fold 1, seed 1" in told(draw("samples", *made))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(str(file)) and wrong in line and line.endswith("it is left out")


def test_a_link_out_of_the_folder_is_not_followed(
    made: tuple[Study, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "secret.png"
    other.write_bytes(png(1))
    (RunDir.of(made[0].tasks[0], made[1]).path / "samples.png").symlink_to(other)
    with pytest.raises(UserError, match=r"no finished runs of a generator that kept samples\.png"):
        draw("samples", *made)
    assert "samples.png: a link; it is left out" in capsys.readouterr().err
