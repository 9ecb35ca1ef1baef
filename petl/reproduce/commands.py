"""`petl env` describes and checks the environment; `petl bundle` packs a study for a reviewer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from petl.errors import several
from petl.terminal import AsJson, RunsDir, StudyFile, console, echo, interruptible, progress_bars

if TYPE_CHECKING:
    from petl.reproduce.environment import Surroundings

RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's folder, its id, or the id's beginning.")
]
EXTRA, WRONG = 3, 4
SHOWN = 20


def env(
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every installed file against the lock.")
    ] = False,
    lock: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="The lock file; further ones may be installed too."),
    ] = None,
    diff: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="RUN RUN", help="Compare the environments of two runs."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    runs: RunsDir = None,
) -> None:
    """Show the environment: Python, torch, CUDA, driver, GPU, processor, packages, code.

    --verify compares versions with the lock file, each file with its package's own list of SHA-256,
    and torch with the driver and the GPUs. The exit code is 0 if all is as locked, 3 if more is
    installed, 4 if something is missing or changed. --diff exits with 0 or, if they differ, 3.

    \b
    Example:
      petl env
      petl env --verify
      petl env --diff 3f2a91 8c04d7
    """
    if diff:
        _diff(*diff, as_json, runs)
    elif verify or lock:
        _verify(lock or [], as_json)
    else:
        _describe(as_json)


def _describe(as_json: bool) -> None:
    from petl.reproduce.environment import FACTS, here

    found = here()
    if as_json:
        _print_json({**found.facts, **(found.machine or {})})
        return
    lines = [(name, found.facts.get(key)) for key, name in FACTS.items()]
    for name, value in [*lines, *_of_machine(found)]:
        console().print(f"{name:<11} {'none' if value is None else value}", soft_wrap=True)


def _of_machine(found: Surroundings) -> list[tuple[str, object]]:
    machine = found.machine
    assert machine is not None
    return [
        ("host", found.facts.get("host")),
        ("CPU", machine["cpu"]),
        ("CPU flags", " ".join(machine["cpu_flags"])),
        ("system", machine["system"]),
        ("packages", f"{len(machine['packages'])} (--json lists them)"),
    ]


def _diff(one: str, other: str, as_json: bool, runs: Path | None) -> None:
    from petl.errors import UserError
    from petl.places import Places
    from petl.reproduce.environment import differences, of_run
    from petl.runs.find import find_run

    folder = Places.choose(runs).runs
    sides = []
    for name in (one, other):
        run = find_run(name, folder)
        if (result := run.result()) is None:
            raise UserError(f"{run.path}: not finished, so its environment is not recorded")
        sides.append(of_run(result, run.path.parents[1]))
    found = differences(*sides)
    if as_json:
        _print_json([difference._asdict() for difference in found])
    else:
        lines = map(str, found) if found else ["equal in all that is recorded"]
        console().print(*lines, sep="\n", soft_wrap=True)
    raise typer.Exit(EXTRA if found else 0)


def _verify(locks: list[Path], as_json: bool) -> None:
    from petl.reproduce.packages import verify

    with interruptible("nothing was changed"), progress_bars() as bars:
        report = verify(locks, bars)
    code = WRONG if report.wrong else EXTRA if report.extra else 0
    if as_json:
        _print_json({**vars(report), "locks": list(map(str, report.locks)), "code": code})
        raise typer.Exit(code)
    for kind, lines in (("", report.wrong), ("not in the lock: ", report.extra)):
        for line in lines[:SHOWN]:
            console().print(f"{kind}{line}", soft_wrap=True)
        if len(lines) > SHOWN:
            console().print(f"{kind}and {len(lines) - SHOWN} more (--json lists them)")
    names = ", ".join(file.name for file in report.locks)
    checked = f"{report.packages} packages with {report.files} files"
    console().print(f"{report.verdict}: {checked}, against {names}", soft_wrap=True)
    raise typer.Exit(code)


def bundle(
    study: StudyFile,
    out: Annotated[Path, typer.Argument(metavar="OUT.zip", help="The file to write.")],
    with_hosts: Annotated[
        bool, typer.Option("--with-hosts", help="Include names of machines, people and folders.")
    ] = False,
    runs: RunsDir = None,
) -> None:
    """Pack a study for a reviewer: tasks, results, epochs, weights, code, lock, and their hashes.

    The same runs give the same bytes. Results go in without names of machines and jobs. Where a
    name of a machine, person or folder remains, as in a study's file, petl says where and writes
    nothing. `petl verify` checks the file.

    \b
    Example:
      petl bundle experiments/table1.yaml table1.zip
    """
    from petl.config.study import load_study
    from petl.places import Places
    from petl.reproduce.bundle import write_bundle

    loaded = load_study(study)
    with interruptible("nothing was written"), progress_bars() as bars:
        contents = write_bundle(loaded, Places.choose(runs), out, with_hosts=with_hosts, tell=bars)
    screen = console()
    for lack in contents.lacks:
        screen.print(f"warning: without {lack}", soft_wrap=True)
    unfinished = len({task.run_id for task in loaded.tasks}) - contents.runs
    rest = f"; {unfinished} not finished" if unfinished else ""
    size = out.stat().st_size / 1e6
    screen.print(f"{out}: {several(contents.runs, 'run')}, {size:.1f} MB{rest}", soft_wrap=True)


def _print_json(value: Any) -> None:
    import json

    echo(json.dumps(value, indent=1))


def show(run: RunName, as_json: AsJson = False, runs: RunsDir = None) -> None:
    """Show a run: its state, results, curves, settings and environment.

    \b
    Example:
      petl show 3f2a91
    """
    from petl.places import Places
    from petl.reproduce.show import facts
    from petl.reproduce.show import show as lines
    from petl.runs.find import find_run

    found = find_run(run, Places.choose(runs).runs)
    if as_json:
        _print_json(facts(found))
    else:
        console().print(*lines(found), sep="\n", soft_wrap=True)


def diff(run: RunName, other: RunName, runs: RunsDir = None) -> None:
    """Show what differs between two runs: settings, results, curves, environment.

    The exit code is 0 if nothing differs, else 3.

    \b
    Example:
      petl diff 3f2a91 8c04d7
    """
    from petl.places import Places
    from petl.reproduce.show import diff as lines
    from petl.runs.find import find_run

    folder = Places.choose(runs).runs
    found = list(lines(find_run(run, folder), find_run(other, folder)))
    console().print(*(found or ["equal in all that is recorded"]), sep="\n", soft_wrap=True)
    raise typer.Exit(EXTRA if found else 0)
