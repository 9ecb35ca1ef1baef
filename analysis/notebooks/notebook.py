"""The functions that the notebooks call, and how a notebook becomes a page.

In a notebook, a table or figure that a study has no runs for is one line of text, not an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from analysis.markup import Html, document
from petl.errors import UserError, nearest
from petl.files import refuse_foreign, write_output

if TYPE_CHECKING:
    from nbformat import NotebookNode

FOLDER = Path(__file__).parent
PARAMETERS = "parameters"
"""The tag of the cell that sets the runs and studies, a line for each name, as papermill has it."""
GENERATOR = "petl-ast notebook"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 62em;
  margin: 1.5em auto; padding: 0 1em }
pre { font-size: 12.5px; white-space: pre-wrap; margin: .3em 0 }
.input pre { color: #666; background: #f6f6f6; padding: .5em .8em; border-radius: 4px }
.prompt, .anchor-link { display: none }
.output_png, .output_svg { overflow-x: auto }
img { max-width: 100%; height: auto }
"""


# --- for the notebooks' cells ---------------------------------------------------------------------


def table(study: str, runs: str | Path, **options: Any) -> None:
    """The table of `petl table` and its warnings; `options` are those of tabulate.Options."""
    from IPython.display import HTML, display

    from analysis.tables.html import fragment, style
    from analysis.tables.tabulate import Options, tabulate
    from petl.config.study import load_study

    try:
        made = tabulate(load_study(study), Path(runs), Options(**options))
    except UserError as error:
        print(error)
        return
    look = f"<style>{style(made.colors)}</style>"
    display(HTML(look + fragment(made.table, made.extras)))
    print(*made.warnings, sep="\n")


def figure(name: str, study: str, runs: str | Path, **options: Any) -> None:
    """The figure of `petl figure`; `options` are those of `analysis.figures.figure.draw`."""
    from IPython.display import Image, display

    from analysis.figures.figure import draw
    from petl.picture import to_bytes

    try:
        picture = draw(name, study, Path(runs), **options)
    except UserError as error:
        print(error)
        return
    display(Image(to_bytes(picture, "png"), width=96 * picture.get_figwidth()))


# --- from a notebook to a page --------------------------------------------------------------------


def to_page(
    name: str,
    out: Path,
    runs: Path,
    studies: Sequence[str] = (),
    tell: Callable[[int, int], None] = lambda cell, cells: None,
) -> None:
    """Execute the notebook on these runs, and write one HTML file.

    `studies` replace the notebook's own. `tell` gets the cell's number and how many there are.
    """
    known = {file.stem: file for file in FOLDER.glob("*.ipynb")}
    if name not in known:
        raise UserError(f"no notebook '{name}'{nearest(name, known)}; there are {_names(known)}")
    refuse_foreign(out, f'content="{GENERATOR}'.encode())
    values = {"RUNS": str(runs.resolve())} | ({"STUDIES": list(studies)} if studies else {})
    notebook = read(known[name], values)
    execute(notebook, tell)
    write_output(out, page(notebook, name).encode())


def read(file: Path, values: dict[str, Any]) -> NotebookNode:
    """The notebook with these values in its cell of parameters."""
    import nbformat

    notebook: NotebookNode = nbformat.read(file, as_version=4)
    for cell in notebook.cells:
        if PARAMETERS in cell.metadata.get("tags", []):
            lines = {line.partition(" = ")[0]: line for line in cell.source.splitlines()}
            lines |= {key: f"{key} = {value!r}" for key, value in values.items()}
            cell.source = "\n".join(lines.values())
    return notebook


def execute(
    notebook: NotebookNode, tell: Callable[[int, int], None] = lambda cell, cells: None
) -> None:
    """In a new kernel, over a local socket: no port is open, and nothing is written to $HOME."""
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    with TemporaryDirectory(prefix="petl-") as folder:
        manager = AsyncKernelManager(
            kernel_name="python3",
            transport="ipc",
            connection_file=str(Path(folder) / "kernel.json"),
        )
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=None,
            on_cell_start=lambda cell, cell_index: tell(cell_index + 1, len(notebook.cells)),
        )
        # what a kernel writes to stderr while it starts and ends is not about the notebook
        said = Path(folder) / "kernel.log"
        try:
            with said.open("w") as log:
                client.execute(env=os.environ | {"IPYTHONDIR": folder}, stderr=log, cleanup_kc=True)
        except DeadKernelError:
            last = said.read_text().strip().splitlines()[-1:] or ["it said nothing"]
            raise UserError(f"the notebook's kernel has ended: {last[0]}") from None
        except CellExecutionError as error:
            raise UserError(f"the notebook stopped: {error.ename}: {error.evalue}") from None


def page(notebook: NotebookNode, title: str) -> str:
    """The executed notebook as one HTML page. nbconvert has already escaped its outputs."""
    from nbconvert import HTMLExporter

    from analysis.tables.html import style

    body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    return document(title, STYLE + style(), Html(body), generator=GENERATOR)


def _names(known: dict[str, Path]) -> str:
    return ", ".join(sorted(known))
