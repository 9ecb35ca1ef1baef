"""How the command line behaves whatever the command: its options, mistakes and interruptions."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from petl.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from petl.config import Task
    from petl.places import Places

MISTAKE, INTERRUPTED = 2, 130

StudyFile = Annotated[
    Path, typer.Argument(metavar="STUDY", help="A YAML file, such as experiments/table1.yaml.")
]
RunsDir = Annotated[
    Path | None, typer.Option("--runs", metavar="DIR", help="Run directories [PETL_RUNS or runs].")
]
DataDir = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Datasets [PETL_DATA or data].")
]
CacheDir = Annotated[
    Path | None, typer.Option("--cache", metavar="DIR", help="Spectrograms [PETL_CACHE or cache].")
]


class Petl(TyperGroup):
    """A user's mistake becomes one line and exit code 2; a bug keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            leave(" ".join(str(error).split()), MISTAKE)
        except KeyboardInterrupt:
            leave("stopped", INTERRUPTED)

    def list_commands(self, ctx: Any) -> list[str]:
        """As they are written down, which is the order of the work."""
        return list(self.commands)


def leave(message: str, code: int) -> NoReturn:
    typer.echo(f"petl: {message}", err=True)
    raise typer.Exit(code)


@contextmanager
def interruptible(how_to_go_on: str) -> Iterator[None]:
    """Ctrl-C, or the TERM of a login node that cleans up: leave in order and say how to go on."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        leave(f"stopped; {how_to_go_on}", INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Ctrl-C or TERM asks for an end at the next step; a second one does not wait for it."""
    asked = False

    def hear(signum: int, frame: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        typer.echo("petl: stopping at the next step; once more to stop at once", err=True)

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def need(module: str, extra: str) -> None:
    """A login node has the base package only: say what is missing instead of failing to import."""
    if find_spec(module) is None:
        get = f"pip install 'petl-ast[{extra}]'"
        raise UserError(f"this needs {module}, which is not installed here: {get}")


def prepare(tasks: Sequence[Task], places: Places) -> None:
    """Make each dataset ready once, before many processes would do it at the same time."""
    need("torch", "train")
    from petl import data
    from petl.data.features import form_of

    wanted = {(task.dataset, form_of(task.backbone)): task.names.dataset for task in tasks}
    for (dataset, form), name in wanted.items():
        with console().status(f"preparing {name}") as status:

            def tell(done: int, total: int, name: str = name, show: Any = status.update) -> None:
                show(f"preparing {name}: {done} of {total} clips")

            data.prepare(dataset, places, tell, form)


def console() -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)
