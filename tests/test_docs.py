"""The documentation names files, links and commands that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from petl.cli import COMMANDS, app
from petl.config.study import load_study

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = "petl|slurm|analysis|tests|experiments|docker|docs|benchmarks"
FILE = re.compile(
    rf"(?<![\w./-])((?:{FOLDERS})/[\w/.-]+\.(?:py|sh|yaml|json|md|png|in|lock|def))\b"
)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@every_page
def test_every_file_in_the_text_exists(page: Path) -> None:
    files = set(FILE.findall(page.read_text()))
    assert [file for file in files if not (ROOT / file).exists()] == []


@every_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def command_lines(page: Path) -> Iterator[list[str]]:
    """`petl` at the beginning of an indented line or of code in the text."""
    text = page.read_text()
    lines = re.findall(r"^ {4,}petl (.*)", text, flags=re.MULTILINE)
    lines += re.findall(r"`petl ([^`]+)`", text)
    for line in lines:
        yield re.split(r"\s{2,}", line)[0].split()


def options_of(words: list[str]) -> set[str]:
    command: Any = typer.main.get_command(app)
    for word in words:
        children = getattr(command, "get_command", None)
        found = children(None, word) if children else None
        if found is None:
            break
        command = found
    return {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }


@every_page
def test_every_command_and_its_options_exist(page: Path) -> None:
    for words in command_lines(page):
        if words[0].startswith("-"):
            continue
        assert words[0] in COMMANDS, " ".join(words)
        named = {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)}
        assert named - {"--help"} - options_of(words) == set(), " ".join(words)


STUDIES = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL))
    if re.search("^matrix:", text, re.MULTILINE)
]


@pytest.mark.parametrize("text", STUDIES)
def test_every_study_in_the_text_is_complete_and_can_be_planned(text: str, tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(text)
    folders = [f"--runs={tmp_path}", f"--data={tmp_path}"]
    told = CliRunner().invoke(app, ["plan", str(study), *folders])
    assert told.exit_code == 0, told.output
    assert f"0 of {len(load_study(study).tasks)} done" in told.output


@every_page
def test_a_page_says_so_where_its_yaml_is_a_part_of_a_study(page: Path) -> None:
    text = " ".join(page.read_text().split())
    blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    parts = [block for block in blocks if not re.search("^matrix:", block, re.MULTILINE)]
    assert ("YAML without a `matrix` is a part to add to a study." in text) == bool(parts)
