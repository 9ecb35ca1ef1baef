"""`petl plan` says what training would refuse about the corpora that are here."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from petl.cli import app
from petl.config.study import EXPERIMENTS
from petl.data.synthetic.quickstart import make_corpus

QUICKSTART = (EXPERIMENTS / "quickstart.yaml").read_text()


@pytest.mark.parametrize(
    ("classes", "warning"),
    [(10, ""), (11, "10 classes, but dataset.classes is 11"), (0, "esc50.csv: no such file")],
    ids=["right", "wrong count", "no table"],
)
def test_a_wrong_corpus_is_known_before_submitting(
    tmp_path: Path, classes: int, warning: str
) -> None:
    make_corpus(tmp_path / "data" / "tiny", takes=1)
    if not classes:
        (tmp_path / "data" / "tiny" / "meta" / "esc50.csv").unlink()
    study = QUICKSTART.replace("corpus: made-sounds", "corpus: tiny")
    study = study.replace("classes: 10", f"classes: {classes or 10}")
    (tmp_path / "study.yaml").write_text(study)
    arguments = ["plan", str(tmp_path / "study.yaml"), "--runs", str(tmp_path / "runs")]
    result = CliRunner().invoke(app, [*arguments, "--data", str(tmp_path / "data")])
    assert result.exit_code == 0
    assert result.stderr.count("warning: ") == bool(warning)
    assert warning in result.stderr
