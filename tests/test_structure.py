"""Which room may import which, and how large modules, files of tests and rooms may be."""

from __future__ import annotations

import re
from collections import Counter

from import_graph import PACKAGES, ROOT, imports, light_modules, modules, room

import petl

MAY_IMPORT: dict[str, str] = {
    "petl.config": "",
    "petl.runs": "petl.config",
    "petl.data": "petl.config petl.runs",
    "petl.backbones": "petl.config",
    "petl.methods": "petl.config petl.backbones",
    "petl.model": "petl.config petl.backbones petl.methods",
    "petl.generate": "petl.config petl.runs petl.data petl.backbones petl.methods petl.model",
    "petl.train": (
        "petl.config petl.runs petl.data petl.backbones petl.methods petl.model petl.generate"
    ),
    "petl.init": "petl.config petl.data",
    "petl.use": "petl.config petl.runs petl.data petl.backbones petl.methods petl.model petl.train",
    "petl.reproduce": "petl.config petl.runs",
    "slurm": "petl.config petl.runs",
    "slurm.node": "petl.config petl.runs petl.train slurm",
    "slurm.status": "petl.config petl.runs slurm",
    "slurm.submit": "petl.config petl.runs petl.data petl.backbones slurm slurm.node slurm.status",
    "slurm.doctor": "petl.config petl.runs petl.data petl.backbones slurm slurm.node slurm.submit",
    "slurm.init": "petl.config petl.init slurm slurm.submit slurm.doctor",
    "slurm.reproduce": (
        "petl.config petl.runs petl.data petl.reproduce slurm slurm.status slurm.submit"
    ),
    "slurm.devcluster": "",
    "analysis": "petl.config petl.runs",
    "analysis.figures": "petl.config petl.runs analysis",
    "analysis.tables": "petl.config petl.runs analysis analysis.figures",
    "analysis.html": "petl.config petl.runs analysis analysis.figures analysis.tables",
    "analysis.notebooks": "petl.config petl.runs analysis analysis.figures analysis.tables",
}
"""Every room may also import the modules at petl's top, and those import no room.

`petl/__init__.py` names functions of any room for Python: as text, and for type checkers alone as
imports.
"""

TOP = 9
"""The most modules at petl's top, `__init__` included."""
LINES = 300
MODULES = 10
"""The most modules in one folder, `__init__` left out, except these:"""
LARGER = {
    "petl.config": "one module for each part of a study's file, none over 300 lines",
    "petl.backbones": "three encoders, and for each what reads its checkpoints",
    "petl.runs": "a module for each file that a run leaves, and for what reads it",
    "petl.methods": "one module for each family of methods",
    "petl.data": "the stages from a file to a batch, one module for each",
    "petl.data.layouts": "one module for each layout",
    "petl.train": "the stages of a run, one module for each",
    "analysis.figures": "one module for each kind of figure",
    "analysis.tables": "one module for each format, and for what a table shows beside its numbers",
    "slurm.submit": "two ways to submit, to Slurm and to this machine",
}


def arrows() -> dict[tuple[str, str], list[str]]:
    """(importing room, imported room): where."""
    found: dict[tuple[str, str], list[str]] = {}
    for module, path in modules().items():
        for name, line, when_loaded in imports(module):
            if module == "petl" and not when_loaded:  # for type checkers
                continue
            if name in modules() and room(name) != room(module):
                where = f"{path.relative_to(ROOT)}:{line} imports {name}"
                found.setdefault((room(module), room(name)), []).append(where)
    return found


def test_every_import_between_rooms_is_in_the_table() -> None:
    for (importing, imported), where in arrows().items():
        if imported != "petl":
            assert imported in MAY_IMPORT.get(importing, "").split(), "\n".join(where)


def test_every_import_of_our_own_leads_to_a_module() -> None:
    """A lazy import of a module that was renamed would fail only when its command is called."""
    for module, path in modules().items():
        for name, line, _ in imports(module):
            if name.partition(".")[0] in PACKAGES:
                assert name in modules(), f"{path.relative_to(ROOT)}:{line} imports {name}"


def test_the_names_for_python_are_those_that_type_checkers_see() -> None:
    seen = {found.name for found in imports("petl") if not found.when_loaded}
    told = {text.partition(":")[0] for text in petl.NAMES.values()}
    assert seen == told - {"petl.train"} | {"petl.train.run"}  # a room that is also a function
    assert set(petl.__all__) == {*petl.NAMES, "UserError", "__version__"}


def test_no_room_imports_itself_in_a_circle() -> None:
    for start in MAY_IMPORT:
        seen: set[str] = set()
        waiting = MAY_IMPORT[start].split()
        while waiting:
            name = waiting.pop()
            assert name != start, f"{start} imports itself through others"
            if name not in seen:
                seen.add(name)
                waiting += MAY_IMPORT[name].split()


def test_the_table_in_contributing_is_this_one() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)` \| ((?:`[\w.]+`,? ?)*)\|$", text, flags=re.MULTILINE)
    drawn = {name: re.findall(r"`([\w.]+)`", allowed) for name, allowed in rows}
    assert drawn == {name: allowed.split() for name, allowed in MAY_IMPORT.items()}


def test_petls_top_stays_small_and_so_does_every_module_and_every_file_of_tests() -> None:
    assert sum(room(module) == "petl" for module in modules()) <= TOP
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (*modules().values(), *(ROOT / "tests").rglob("*.py"))
        if (lines := len(path.read_text().splitlines())) > LINES
    }
    assert long == {}


def test_a_folder_with_many_modules_has_a_reason() -> None:
    folders = Counter(
        name.rpartition(".")[0] for name, path in modules().items() if path.stem != "__init__"
    )
    assert {folder for folder, number in folders.items() if number > MODULES} == set(LARGER)


def test_the_type_checker_judges_what_loads_no_arrays() -> None:
    """By rule: a module that stops importing torch is judged from then on."""
    light = set(light_modules())
    assert {"petl.config.task", "petl.runs.result", "slurm.status.plan", "petl.cli"} < light
    assert "petl.train.loop" not in light and "analysis.collect" not in light
    assert not {name for name in light if re.match(r"petl\.methods\.(lora|adapter)", name)}
    everything = {name for name in modules() if re.match(r"petl\.(config|runs)\.|slurm\.", name)}
    assert everything <= light
