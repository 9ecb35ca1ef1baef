"""predictions.json: what a run answered for each test clip, so that figures need no model.

A run of a regression writes it; the format fits any kind of task. Somebody else of the group may
have written it: it is read up to a size, and every shape in it is checked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import NotRequired, TypedDict

from petl.runs.directory import RunDir
from petl.runs.reading import content_of

SCHEMA = 1
MOST_NUMBERS = 500_000
"""No file is written for more answers: it would be over 10 MB."""
MOST_BYTES = 64_000_000
Rows = list[list[float]]


@with_config(ConfigDict(extra="allow"))
class Predictions(TypedDict):
    """Lists with an entry for each test clip, in one order."""

    schema: Literal[1]
    run_id: str
    outputs: list[str]
    """The names of classes or targets."""
    clips: list[str]
    """The files, and for a window its first second: `songs/10.mp3@15`."""
    songs: NotRequired[list[int]]
    """The number of each clip's song, where songs have several windows."""
    targets: Rows | list[int]
    """Labels; or a row of numbers, as the model learned them."""
    test_last: Rows
    """The model's outputs after the last epoch."""
    test_best: Rows


_adapter = TypeAdapter(Predictions)


def content(
    run_id: str,
    outputs: Sequence[str],
    clips: Sequence[str],
    targets: list[Any],
    after: dict[str, Rows],
    songs: list[int] | None = None,
) -> bytes | None:
    """None for very many answers: there is no file of them. `after` has the answers by split."""
    if len(clips) * len(outputs) > MOST_NUMBERS:
        return None
    facts = {
        "schema": SCHEMA,
        "run_id": run_id,
        "outputs": list(outputs),
        "clips": list(clips),
        **({} if songs is None else {"songs": songs}),
        "targets": _rounded(targets),
        **{name: _rounded(answers) for name, answers in after.items()},
    }
    return json.dumps(facts).encode()


def read(run: RunDir) -> tuple[Predictions | None, str]:
    """Of the run's folder or of the archive; or what is wrong; neither without such a file."""
    with run.at_hand(run.predictions_file.name) as path:
        found, wrong = content_of(path, MOST_BYTES + 1)
    if found is None or (wrong := problem(found, run.path.name)):
        return None, wrong
    return _adapter.validate_json(found), ""


def problem(content: bytes, run_id: str) -> str:
    """What is wrong with a predictions.json; empty if nothing is."""
    if len(content) > MOST_BYTES:
        return f"over {MOST_BYTES / 1e6:.0f} MB"
    try:
        found = _adapter.validate_json(content, strict=True)
    except ValidationError:
        return "damaged, or not written by petl"
    if found["run_id"] != run_id:
        return f"the predictions of another run, {found['run_id']:.20}"
    clips, outputs = len(found["clips"]), len(found["outputs"])
    lists = [found["targets"], found["test_last"], found["test_best"]]
    lists += [found["songs"]] if "songs" in found else []
    rows = [row for part in lists for row in cast(list[Any], part) if isinstance(row, list)]
    if any(len(part) != clips for part in lists) or any(len(row) != outputs for row in rows):
        return "its lists have different lengths"
    return ""


def _rounded(values: list[Any]) -> list[Any]:
    """9 digits name each number of float32."""
    if values and isinstance(values[0], list):
        return [_rounded(row) for row in values]
    return [float(f"{value:.9g}") if isinstance(value, float) else value for value in values]
