"""The code of docs/python.md runs, on a tiny backbone."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from transformers import ASTForAudioClassification

import petl

PAGE = Path(__file__).parent.parent.parent / "docs" / "python.md"
TINY = str(Path(__file__).parent.parent / "golden" / "ast_tiny")
SECTIONS = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
CODE = {
    section.partition("\n")[0]: "\n".join(re.findall(r"```python\n(.*?)```", section, re.DOTALL))
    for section in SECTIONS
}


@pytest.fixture
def run(written, tmp_path: Path, monkeypatch):
    """Run a section's code in a folder with sounds, a data set and a trained run."""
    random = np.random.default_rng(0)
    for name in ("garden", "wood", *(f"data/birds/{b}/{i}" for b in "rw" for i in range(8))):
        file = tmp_path / f"{name}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, random.uniform(-0.5, 0.5, 16_000), 16_000)
    shutil.copytree(written().path, tmp_path / "birds")
    monkeypatch.chdir(tmp_path)
    for name in ("PETL_RUNS", "PETL_DATA", "PETL_CACHE"):
        monkeypatch.delenv(name, raising=False)

    def execute(*sections: str) -> dict:
        names: dict = {"petl": petl, "torch": torch}
        for section in sections:
            code = CODE[section].replace("MIT/ast-finetuned-audioset-10-10-0.4593", TINY)
            exec(compile(code, f"docs/python.md, {section}", "exec"), names)
        return names

    return execute


def test_a_trained_run(run) -> None:
    names = run("A trained run")
    assert names["logits"].shape == (2, 10)
    assert isinstance(names["network"], torch.nn.Module)


def test_a_loop_of_ones_own(run) -> None:
    names = run("A training loop of your own")
    assert names["inputs"].shape == (2, 500, 128)
    assert float(names["loss"]) < 0.69  # of a guess: log 2


def test_a_method_in_an_ast_of_transformers(run) -> None:
    classifier = run("A method in an AST of transformers")["classifier"]
    assert isinstance(classifier, ASTForAudioClassification)
    assert classifier.num_labels == 12


@pytest.mark.slow
def test_a_study(run) -> None:
    names = run("Studies")
    assert len(names["tasks"]) == 4
    assert list(names["frame"]["state"]) == ["done"]


def test_every_section_with_code_is_run_here() -> None:
    here = Path(__file__).read_text()
    assert [title for title, code in CODE.items() if code and f'run("{title}")' not in here] == []
