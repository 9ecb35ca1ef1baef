"""Nothing is lost whoever dies, or reads, while runs are packed."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from packs import content, made, pack_all

from petl.runs.archive.format import archive
from petl.runs.archive.packing import pack, unpack
from petl.runs.directory import RunDir, Runs
from petl.runs.synthetic import fabricate


@pytest.mark.slow
@pytest.mark.parametrize("action", [pack, unpack])
def test_killed_at_any_moment_nothing_is_lost_and_the_next_call_finishes(
    tmp_path: Path, action: Callable[[Path, list[str]], object]
) -> None:
    """Real processes, killed ever later until one comes through."""
    study = made(tmp_path, [1, 2, 3])
    fabricate(study, tmp_path)
    folder = tmp_path / study.name
    before, runs = content(folder), sorted(Runs(folder))
    if action is unpack:
        pack_all(folder)
    states = set()
    for attempt in range(200):
        for marker in folder.glob("packed/.takeover.*"):
            os.utime(marker, (0, 0))  # ten minutes later: until then nobody dares
        process = multiprocessing.get_context("fork").Process(target=action, args=(folder, runs))
        process.start()
        time.sleep(0.002 * attempt)
        process.kill()
        process.join(timeout=30)
        view = Runs(folder)
        assert sorted(view) == runs
        assert all(view.result(run_id) is not None for run_id in runs)
        states.add((len(view.loose), len(view.packed)))
        if process.exitcode == 0:
            break
    assert process.exitcode == 0
    assert len(states) > 2
    assert sorted(archive(folder)) == ([] if action is unpack else runs)
    assert not list(folder.glob(".*")) and not list(folder.glob("packed/.new.*"))
    if action is pack:
        unpack(folder, runs)
    assert content(folder) == before


def test_a_reader_sees_every_run_while_they_are_packed_and_unpacked(tmp_path: Path) -> None:
    study = made(tmp_path, [1, 2, 3])
    fabricate(study, tmp_path)
    folder = tmp_path / study.name
    code = (
        "import sys; from pathlib import Path; from petl.runs.archive.packing import *\n"
        "folder = Path(sys.argv[1])\n"
        "for _ in range(2):\n"
        "    pack(folder, preview_pack(folder).runs); unpack(folder, list(archive(folder)))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)])
    seen = set()
    while process.poll() is None:
        view = Runs(folder)
        assert len(list(view)) == len(study.tasks)
        assert all(view.state(task.run_id).kind == "done" for task in study.tasks)
        assert all(RunDir.of(task, tmp_path).result() for task in study.tasks[::5])
        seen.add(bool(view.packed))
    assert process.returncode == 0
    assert seen == {True, False}
