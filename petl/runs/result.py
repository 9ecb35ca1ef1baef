"""result.json: its one definition, which the trainer writes and everything else reads.

Results are plain dicts at run time, because analysis reads 100,000 of them at once and turns their
keys into columns. Keys that a newer version adds are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import NotRequired, TypedDict

from petl.config import Task
from petl.runs.code.tries import RunCode

SCHEMA = 1
Scores = dict[str, float]
PerClass = dict[str, list[Any]]
"""Of several labels: average_precision, auc (None where undefined) and clips, by label."""
_open = with_config(ConfigDict(extra="allow"))


@_open
class Params(TypedDict):
    trainable: int
    trainable_without_head: int
    total: int


@_open
class Metrics(TypedDict):
    """After the last epoch, and after the one with the best validation."""

    test_last: Scores
    test_best: Scores
    val_best: Scores


@_open
class Timing(TypedDict):
    seconds: float
    """From the first try to the end, the data's preparation included."""
    data_seconds: NotRequired[float]
    tries: NotRequired[int]


@_open
class SlurmJob(TypedDict, total=False):
    job_id: str
    cluster: str | None
    partition: str | None
    node: str | None
    gpus: int
    restarts: int
    wait_s: float | None
    max_rss_mb: float


@_open
class Environment(TypedDict, total=False):
    petl: str
    git_commit: str | None
    code: RunCode
    lock_hash: str | None
    image: str | None
    base_image: str | None
    backbone_revision: str | None
    """The commit of a backbone from Hugging Face."""
    python: str
    torch: str
    cuda: str | None
    gpu: str | None
    """None on a CPU."""
    driver: str | None
    """NVIDIA's; None without one."""
    threads: int
    machine: str
    """The hash of packages and processor, listed in runs/.environments/ (petl/runs/machine.py)."""
    host: str
    slurm_job_id: str | None
    slurm: SlurmJob | None


@_open
class LoadedBackbone(TypedDict):
    """What of the backbone's checkpoint was used."""

    layout: str
    taken: int
    """How many tensors."""
    dropped: dict[str, int]
    """How many, by the first part of their names."""
    new: list[str]
    notes: list[str]
    grids: list[list[int]]
    """Rows and columns of patches: of the checkpoint, and of the run."""


@_open
class GeneratorFacts(TypedDict):
    """What a generator was fitted to, and what it can be asked for."""

    space: dict[str, float]
    """As `Space` in petl/generate/base.py."""
    conditions: dict[str, list[float]]
    """The lowest and the highest value of the training clips, by target or class, in order."""
    fitted_on: str
    """A digest of the dataset's settings and the training clips (petl/generate/fitted.py)."""
    seconds: float
    """Of training alone: without the data's preparation and without the measures."""


@_open
class SyntheticClips(TypedDict):
    """The synthetic clips of a run that trains on some."""

    generator: str
    """A run id."""
    share: float
    clips: int
    """How many there are in each epoch."""
    file: NotRequired[str]
    """The clips' name in the cache."""


@_open
class Summary(TypedDict):
    """What of a result is short: all that is read of very many runs."""

    schema: Literal[1]
    run_id: str
    params: Params
    metrics: Metrics
    best_epoch: int
    best_by: NotRequired[str]
    """The metric that chose the best epoch; where it is missing, the headline of the task."""
    epochs: int
    timing: Timing
    peak_memory_mb: float
    environment: Environment
    synthetic: NotRequired[bool]
    """The numbers are made up."""
    statistics: NotRequired[dict[str, float] | None]
    """Mean and standard deviation of the spectrograms; None for waveforms."""
    clips: NotRequired[dict[str, int]]
    """How many there are in each part of the split."""
    frozen_cache: NotRequired[str]
    """With `train.frozen: cached`: what was computed once, or why nothing was."""
    synthetic_clips: NotRequired[SyntheticClips]
    floors: NotRequired[dict[str, Scores]]
    """Of a regression: the test metrics of predictors without a network (petl/train/floors.py); of
    a generator: those of real clips in the place of synthetic ones."""
    intervals: NotRequired[dict[str, dict[str, list[float]]]]
    """Of a generator: 95 % of each metric over resamples, by split."""


@_open
class Result(Summary):
    task: dict[str, Any]
    """As in task.json: it may be of another version."""
    classes: NotRequired[list[str]]
    """Names by label; empty for a regression."""
    confusion: NotRequired[dict[str, list[list[int]] | None] | None]
    """A matrix for `test_last` and `test_best`: a row for each class, a column for each answer."""
    per_class: NotRequired[dict[str, PerClass]]
    """The same for clips with several labels, which have no confusion matrix."""
    backbone: NotRequired[LoadedBackbone]
    generator: NotRequired[GeneratorFacts]


BULKY = Result.__annotations__.keys() - Summary.__annotations__.keys()
SPLITS = tuple(Metrics.__annotations__)
_OPTIONAL = {
    *("synthetic", "clips", "floors", "intervals", "frozen_cache", "per_class", "backbone"),
    *("synthetic_clips", "generator"),
}
_adapter = TypeAdapter(Result)


def new_result(
    task: Task,
    *,
    classes: Sequence[str],
    statistics: dict[str, float] | None,
    params: Params,
    metrics: Metrics,
    confusion: Mapping[str, list[list[int]] | None],
    per_class: Mapping[str, PerClass | None] | None = None,
    best_epoch: int,
    epochs: int,
    timing: Timing,
    peak_memory_mb: float,
    environment: Environment,
    clips: dict[str, int] | None = None,
    floors: dict[str, Scores] | None = None,
    backbone: LoadedBackbone | None = None,
    synthetic_clips: SyntheticClips | None = None,
    intervals: dict[str, dict[str, list[float]]] | None = None,
    generator: GeneratorFacts | None = None,
    frozen_cache: str = "",
    synthetic: bool = False,
) -> Result:
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "synthetic": synthetic,
        "run_id": task.run_id,
        "task": task.to_json(),
        "classes": list(classes),
        "statistics": statistics,
        "clips": clips,
        "frozen_cache": frozen_cache,
        "floors": floors,
        "synthetic_clips": synthetic_clips,
        "intervals": intervals,
        "params": params,
        "metrics": metrics,
        "confusion": dict(confusion),
        "per_class": {name: part for name, part in (per_class or {}).items() if part},
        "best_epoch": best_epoch,
        "best_by": task.best_by,
        "epochs": epochs,
        "timing": timing,
        "peak_memory_mb": peak_memory_mb,
        "environment": environment,
        "backbone": backbone,
        "generator": generator,
    }
    return cast(Result, {k: part for k, part in result.items() if part or k not in _OPTIONAL})


def parse_result(content: bytes | None) -> Result | None:
    """None where there is no file, or a damaged one: `problem` tells why."""
    try:
        return _adapter.validate_json(content, strict=True) if content else None
    except ValidationError:
        return None


def problem(content: bytes) -> str:
    """What is wrong with a result.json; empty if nothing is."""
    try:
        _adapter.validate_json(content, strict=True)
        return ""
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    key, given = ".".join(map(str, first["loc"])), first["input"]
    if not key:
        return damaged_json(content)
    if key == "schema":
        schema = given if first["type"] == "literal_error" else None
        return f"schema {schema!r:.20}; this version reads {SCHEMA}"
    if first["type"] == "missing":
        return f"'{key}' is missing"
    wrong = first["msg"].replace("Input should", "should").replace("a valid ", "a ")
    return f"{key} {wrong.replace('a integer', 'an integer')}, not {given!r:.60}"


def damaged_json(content: bytes) -> str:
    """What is wrong with a file that should be a JSON mapping."""
    if not content.strip(b"\0\n "):
        return "filled with zero bytes" if b"\0" in content else "empty"
    return "not a whole JSON mapping"


def parse_summary(content: bytes | None) -> Summary | None:
    """Without what is bulky.

    Most of the text is the confusion matrices. They are stepped over instead of parsed, which takes
    a sixth of the time (20 instead of 120 microseconds for 50 classes). It cannot hit the wrong
    thing: inside a JSON string the quotes would have backslashes, and a matrix has no braces.
    """
    content = content or b""
    start = content.find(b'"confusion": {')
    end = content.find(b"}", start)
    if 0 <= start < end:
        content = content[:start] + b'"confusion": null' + content[end + 1 :]
    result = parse_result(content)
    return None if result is None else summary(result)


def summary(result: Result) -> Summary:
    return cast(Summary, {name: part for name, part in result.items() if name not in BULKY})
