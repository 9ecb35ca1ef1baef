"""Every command line of the documentation works, or its page says what it needs.

The lines of an indented block that begin with `petl` are run one after the other, in a folder with
studies, runs and sounds. Words in capitals are placeholders. A block that cannot be run here stands
under a comment that no reader sees: `<!-- needs: a cluster -->`.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from petl.cli import app
from petl.config.study import load_study
from petl.runs.synthetic import fabricate

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NEEDS = {"a cluster", "a network", "a GPU", "root", "a terminal", "a fitted generator"}
BLOCK = re.compile(r"(?:<!-- needs: ([\w ,]+) -->\n\n?)?((?:^ {4}.*\n)+)", re.MULTILINE)
RATE = 16_000
SOUNDS = "barking.wav garden.wav night.flac new/a.wav recordings/a.wav parts/a_part1.wav"


def blocks(page: Path) -> Iterator[tuple[str, list[str]]]:
    """What a block needs, and its command lines without what is said about them."""
    for needs, text in BLOCK.findall(page.read_text()):
        lines = [line[4:] for line in text.splitlines() if line.startswith("    petl ")]
        if lines:
            yield needs, [re.split(r"\s{2,}", line)[0] for line in lines]


BLOCKS = [
    pytest.param(lines, id=f"{page.name} {lines[0]}")
    for page in PAGES
    for needs, lines in blocks(page)
    if not needs
]


def test_a_block_that_is_not_run_says_what_it_needs() -> None:
    named = {need for page in PAGES for needs, _ in blocks(page) for need in needs.split(", ")}
    assert named - {""} <= NEEDS


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the documentation imagines it: studies, sounds, trained and made-up runs."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(ROOT / "experiments", folder / "experiments")
    (folder / "sweep.yaml").write_text(grid())
    for study in ("experiments/quickstart.yaml", "experiments/table1.yaml", "sweep.yaml"):
        fabricate(load_study(folder / study), folder / "runs")
    random = np.random.default_rng(0)
    for kind in (f"{name}/{of}" for name in ("birds", "digits") for of in ("a", "b")):
        for i in range(20):
            write(folder / f"sounds/{kind}/{i // 2}_part{i % 2}.wav", random.normal(0, 0.1, RATE))
    for name in SOUNDS.split():
        write(folder / name, random.normal(0, 0.1, 3 * RATE))
    (folder / "patients.csv").write_text("file,patient\nparts/a_part1.wav,a\n")
    (folder / "bin").mkdir()
    (folder / "bin" / "git").symlink_to(str(shutil.which("git")))  # and no Slurm
    run("petl init sounds/birds", folder)
    run("petl submit birds.yaml --local 1", folder)
    return folder


def grid() -> str:
    """The study of docs/training.md that its commands look at."""
    page = (ROOT / "docs" / "training.md").read_text()
    snippets = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (found,) = [text for text in snippets if "  train.lr: [" in text]
    return found


def write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE)


def run(line: str, folder: Path) -> None:
    line = line.partition(" > ")[0].replace("~", str(folder)).replace("RUN...", "RUN")
    words = [placeholders(folder).get(word, word) for word in shlex.split(line)[1:]]
    if words[0] == "export":  # it replaces nothing
        shutil.rmtree(folder / "out", ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HOME", str(folder))
        patch.setenv("PATH", str(folder / "bin"))
        for name in ("RUNS", "DATA", "CACHE"):
            patch.setenv(f"PETL_{name}", str(folder / name.lower()))
        done = CliRunner().invoke(app, [file for word in words for file in shell(word, folder)])
    assert done.exit_code == 0, f"{line}\n{done.output or repr(done.exception)}"


def placeholders(folder: Path) -> dict[str, str]:
    """RUN is the study's LoRA, which every command takes."""
    tasks = load_study(folder / "birds.yaml").tasks if (folder / "birds.yaml").exists() else []
    ids = {task.names.method: task.run_id for task in tasks}
    meant = {"STUDY": "birds", "OUT": "out", "NAME": "folds", "FILE": "barking.wav"}
    return meant | {"RUN": ids.get("lora", ""), "OTHER": ids.get("linear", "")}


def shell(word: str, folder: Path) -> list[str]:
    """The files that a pattern means."""
    if "*" not in word or "/" not in word:
        return [word]
    path = folder / word
    return sorted(map(str, path.parent.glob(path.name))) or [word]


@pytest.mark.parametrize("lines", BLOCKS)
def test_the_commands_of_a_block_work(lines: list[str], made: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(made, tmp_path / "folder", symlinks=True)
    for line in lines:
        run(line, folder)
