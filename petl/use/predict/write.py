"""Predictions as CSV rows and as label tracks for Audacity."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from petl.errors import UserError
from petl.files import write_output
from petl.terminal import no_formula, printable
from petl.use.predict.ensemble import Ensemble
from petl.use.predict.predict import Prediction, Span, ranked

Row = list[object]
Kind = Literal["files", "windows", "groups", "json"]


@dataclass(frozen=True)
class Sheet:
    """The lines of predictions: of CSV, or of JSON."""

    ensemble: Ensemble
    top: int
    kind: Kind

    def header(self) -> list[str]:
        return [] if self.kind == "json" else [line([*self._first(), *self._columns(), "error"])]

    def lines(self, prediction: Prediction) -> list[str]:
        """One line; with windows, one for each of them."""
        if self.kind == "json":
            return [json.dumps(prediction.to_json(self.ensemble, self.top), ensure_ascii=False)]
        return [line(row) for row in self._rows(prediction)]

    def _rows(self, prediction: Prediction) -> Iterator[Row]:
        name = str(prediction.file)
        if prediction.error:
            blank = [""] * (len(self._first()) - 1 + len(self._columns()))
            yield [name, *blank, prediction.error]
        elif self.kind == "windows":
            for span in prediction.spans:
                times = (round(span.start, 3), round(span.end, 3))
                yield [name, *times, *self._cells(span.values), ""]
        else:
            files = [prediction.files] if self.kind == "groups" else []
            yield [name, *files, *self._cells(prediction.values), ""]

    def _first(self) -> list[str]:
        if self.kind == "groups":
            return ["group", "files"]
        return ["file", "start", "end"] if self.kind == "windows" else ["file"]

    def _columns(self) -> list[str]:
        if not self.ensemble.classes:
            return list(self.ensemble.names)
        more = range(2, min(self.top, len(self.ensemble.classes)) + 1)
        numbered = [f"{name}_{i}" for i in more for name in ("class", "probability")]
        return ["class", "probability", *numbered]

    def _cells(self, values: Sequence[float]) -> Row:
        answers = ranked(self.ensemble, values, self.top)
        if not self.ensemble.classes:
            return [float(f"{value:.6g}") for _, value in answers]
        return [cell for name, value in answers for cell in (name, round(value, 6))]


def line(row: Sequence[object]) -> str:
    """A line of CSV. A name cannot become a formula, a new line, or what a terminal obeys."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([_safe(cell) for cell in row])
    return text.getvalue()


def _safe(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    return no_formula(printable(cell).replace("\n", "\\n"))


def track(spans: Sequence[Span], ensemble: Ensemble) -> str:
    """A label for each window: start, end and text, apart by tabs."""
    lines = []
    for span in spans:
        answers = ranked(ensemble, span.values, 1 if ensemble.classes else len(ensemble.names))
        text = ", ".join(f"{name} {value:.2f}" for name, value in answers)
        lines.append(f"{span.start:.6f}\t{span.end:.6f}\t{' '.join(printable(text).split())}\n")
    return "".join(lines)


def tracks_of(files: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """The label track of each file; none exists, and no two files have the same."""
    tracks = {file: folder / f"{file.stem}.txt" for file in files}
    owners: dict[Path, Path] = {}
    for file, path in tracks.items():
        if (other := owners.setdefault(path, file)) != file:
            raise UserError(f"{other} and {file} would both be labelled in {path}; rename one")
        refuse_existing(path)
    return tracks


def write_track(path: Path, spans: Sequence[Span], ensemble: Ensemble) -> None:
    write_output(path, track(spans, ensemble).encode())


def write_lines(path: Path, lines: Sequence[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    write_output(path, text.encode(errors="surrogateescape"))  # a file's name may be no UTF-8


def refuse_existing(path: Path) -> None:
    if path.exists():
        raise UserError(f"{path} exists already; choose another name, or remove it")
