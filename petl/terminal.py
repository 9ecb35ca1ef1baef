"""What all commands share: options, error messages, interruptions, output."""

from __future__ import annotations

import errno
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
from typer.core import TyperGroup

from petl import early
from petl.errors import UserError, reason

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

MISTAKE, INTERRUPTED = 2, 130
OF_THE_DISK = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO),
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ESTALE),
)
"""What a shared disk may answer at any moment, to any command: a user's trouble and no bug."""
# C0 without tab and newline, DEL, C1, and the marks that change the direction of text
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def completed_by(*where: str) -> Callable[[str], list[str]]:
    """What a shell offers at TAB: the answers of these functions, `module:function`, together.

    They are imported when the shell asks. zsh evaluates what it is offered, and anybody of the
    group can name a file, so only plain names are.
    """

    def complete(incomplete: str) -> list[str]:
        names: list[str] = []
        for module, _, function in (text.partition(":") for text in where):
            with suppress(OSError, UserError):
                names += getattr(import_module(module), function)(incomplete)
        return [name for name in names if re.fullmatch(r"[\w.+=,-]+", name)]

    return complete


STUDIES, RUNS = "petl.config.locate:complete", "petl.runs.find:complete"
StudyFile = Annotated[
    Path,
    typer.Argument(
        metavar="STUDY",
        help="A YAML file, such as experiments/table1.yaml.",
        autocompletion=completed_by(STUDIES),
    ),
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

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[STUDY] [FIELD=VALUE]...",
        help="Such as experiments/table1.yaml method=conformer-* fold=0-2 state=failed.",
        autocompletion=completed_by(STUDIES, RUNS),
    ),
]
ClusterName = Annotated[
    str | None,
    typer.Option("--cluster", metavar="PROFILE", help="A name or a file [PETL_CLUSTER]."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class Petl(TyperGroup):
    """Turn a user's mistake into one line and exit code 2; a bug keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            leave(str(error), MISTAKE)
        except OSError as error:
            if error.errno not in OF_THE_DISK:
                raise
            leave(f"{error.filename or 'the current directory'}: {reason(error)}", MISTAKE)
        except KeyboardInterrupt:
            leave("interrupted", INTERRUPTED)
        except Exception as error:  # a library that was interrupted may raise anything
            if isinstance(error, typer.Exit) or not early.interrupted():
                raise
            leave("interrupted", INTERRUPTED)

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the definitions, not of the alphabet."""
        return list(self.commands)


WORDS = {"str": "TEXT", "int": "NUMBER", "int range": "NUMBER", "float": "NUMBER", "path": "PATH"}
WORDS |= {"float range": "NUMBER", "file": "PATH", "directory": "PATH", "list[str]": "TEXT"}


def in_words(command: Any) -> Any:
    """Let help show `--seed NUMBER` and `RUN`, where typer would show `<int>` and `RUN <str>`."""
    for parameter in command.params:
        if typer_shows := getattr(parameter, "display_type", None):  # older ones show words
            is_argument = parameter.param_type_name == "argument"
            parameter.display_type = partial(_word, typer_shows, is_argument)
    for inner in getattr(command, "commands", {}).values():
        in_words(inner)
    return command


def _word(typer_shows: Callable[[Any], str], is_argument: bool, ctx: Any) -> str:
    shown = typer_shows(ctx).strip("<>")
    return "" if is_argument else WORDS.get(shown, shown)


def leave(message: str, code: int) -> NoReturn:
    echo(f"petl: {message}", err=True)
    raise typer.Exit(code)


@contextmanager
def interruptible(how_to_continue: str) -> Iterator[None]:
    """After Ctrl-C or TERM (a login node that cleans up), stop and say how to continue."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        leave(f"stopped; {how_to_continue}", INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C or TERM asks to stop at the next step; the second one stops at once."""
    asked = False

    def handle(signum: int, frame: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        echo("petl: stopping at the next step; press Ctrl-C again to stop at once", err=True)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def agrees(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UserError("stdin is not a terminal, so petl cannot ask; pass --yes to go ahead")
    return typer.confirm(question)


def need(module: str, extra: str) -> None:
    """Say which extra to install. A login node has the base package only."""
    if find_spec(module) is None:
        get = f"pip install 'petl-ast[{extra}]'"
        raise UserError(f"this needs {module}, which is not installed here: {get}")


def console(**options: Any) -> Console:
    """A rich console that escapes control characters, which may come from anybody's file."""
    from rich.console import Console
    from rich.segment import Segment

    class Escaping(Console):
        def render_str(self, text: str, **options: Any) -> Any:  # before a table measures its width
            return super().render_str(printable(text), **options)

        def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=printable(segment.text))

    return Escaping(highlight=False, markup=False, emoji=False, **options)


class Bars:
    """A progress bar for each step of the work, drawn when the step begins."""

    def __init__(self, progress: Progress):
        self.progress = progress
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, doing: str, done: float, total: int | None) -> None:
        if doing not in self.tasks:
            self.tasks[doing] = self.progress.add_task(doing, total=total)
        self.progress.update(self.tasks[doing], completed=done, total=total)


@contextmanager
def progress_bars(
    unit: Literal["items", "bytes"] = "items", stderr: bool = False
) -> Iterator[Bars]:
    """Nothing is drawn if the output is not a terminal: in a log, bars are noise."""
    from rich import progress as rich

    items = (rich.MofNCompleteColumn(), rich.TimeRemainingColumn())
    of_unit = items if unit == "items" else (rich.DownloadColumn(), rich.TransferSpeedColumn())
    columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), *of_unit)
    screen = console(stderr=stderr)
    off = not screen.is_terminal
    with rich.Progress(*columns, console=screen, transient=True, disable=off) as progress:
        yield Bars(progress)


def echo(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print plain text without columns or colours, with control characters escaped."""
    typer.echo(printable(str(text)), err=err, nl=nl)


def printable(text: str) -> str:
    r"""Escape what a terminal obeys: ESC in a file's name or a log could retitle the window, write
    the clipboard (OSC 52) or hide lines. Newlines and tabs stay; `\x1b` becomes visible.
    """
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def no_formula(value: Any) -> Any:
    """A spreadsheet would execute a label such as `=1+1`; after an apostrophe it is a text."""
    dangerous = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if dangerous else value
