"""A cluster profile: what jobs ask for and what they run in. YAML, checked like a study."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from petl.config.base import Count, Settings
from petl.config.validate import validate
from petl.config.yamlfile import KeyPath, parse_value, read_yaml
from petl.errors import UserError, nearest
from petl.terminal import echo

SHIPPED = Path(__file__).parents[1] / "clusters"
OWN = Path("clusters")
SLURM_TIME = re.compile(r"(\d+-)?\d+(:\d\d){0,2}")

Text = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]
"""On one line: a newline would begin another line of the job script."""
Word = Annotated[Text, Field(min_length=1)]
Words = Annotated[tuple[Word, ...], Field(strict=False)]
Option = Annotated[str, Field(pattern=r"^[A-Za-z][\w-]*$")]
Gigabytes = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Venv(Settings):
    """No container: a Python that nodes find under the same path."""

    kind: Literal["venv"]
    python: Word | None = None
    """By default the one that submits."""


class Image(Settings):
    image: Word
    python: Word = "python3"
    binds: Words = ()
    """Folders besides runs, data and cache; each has the same path inside."""
    options: Words = ()
    """More arguments for the container's own command."""
    stack: Literal["pinned", "modern", "other"] = "pinned"
    """Which of the two images it is: each has kernels for other GPUs. `other`: of neither."""


class Apptainer(Image):
    kind: Literal["apptainer"]
    command: Word = "apptainer"
    """`singularity` on older sites."""


class Pyxis(Image):
    """srun's own options, where the pyxis plugin is installed."""

    kind: Literal["pyxis"]


class Charliecloud(Image):
    kind: Literal["charliecloud"]
    python: Word = "/opt/petl/venv/bin/python"
    """By its path: ch-run leaves the host's PATH as it is, not the image's."""


class Profile(Settings):
    model_config = ConfigDict(title="petl-ast cluster profile")

    description: str = ""

    partition: Word | None = None
    account: Word | None = None
    qos: Word | None = None
    constraint: Word | None = None
    gpus: Annotated[int, Field(ge=0)] = 1
    gpu_type: Word | None = None
    """As in --gres=gpu:TYPE:1."""
    cpus: Count = 4
    mem_gb: Gigabytes = 16.0
    time: Word
    """As Slurm writes it: minutes, HH:MM:SS or D-HH:MM:SS."""
    sbatch: dict[Option, Text | int | bool] = Field(default={})
    """Any other option of sbatch, without its dashes."""

    container: Annotated[Venv | Apptainer | Pyxis | Charliecloud, Field(discriminator="kind")] = (
        Venv(kind="venv")
    )
    setup: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Shell lines that run on the node first: `module load apptainer`."""

    throttle: Count | None = None
    """The most jobs of a study that run at a time."""
    max_array_size: Count | None = None
    """By default the cluster's MaxArraySize; set it if you may use less."""
    tasks_per_job: Count = 1
    """Several short runs, one after the other in one job."""
    side_by_side: Count = 1
    """The most of them at a time; they share the job's GPU."""

    requeue: bool = True
    """Requeue interrupted and preempted jobs."""
    signal_lead_s: Annotated[int, Field(ge=1, le=65535)] = 120
    """How long before its time limit a job gets a signal, to write a checkpoint."""
    fruitless_requeues: Count = 3
    """Give a run up that was requeued so often without a new checkpoint."""
    hold_after: Count = 3
    """After so many failures with the same traceback, hold the rest of the array."""
    most_mem_gb: Gigabytes | None = None
    """A run that was out of memory is submitted once more with twice as much, up to this."""

    @field_validator("time", mode="before")
    @classmethod
    def _from_minutes(cls, time: object) -> object:
        return str(time) if isinstance(time, int) else time

    @field_validator("time")
    @classmethod
    def _as_slurm_writes_it(cls, time: str) -> str:
        if not SLURM_TIME.fullmatch(time):
            raise ValueError(f"time '{time}': write minutes, HH:MM:SS or D-HH:MM:SS")
        return time

    @property
    def more_mem_gb(self) -> float:
        """For a run that was out of memory."""
        twice = 2 * self.mem_gb
        return min(twice, self.most_mem_gb) if self.most_mem_gb is not None else twice


def load_profile(name: str, changes: Sequence[str] = ()) -> Profile:
    """By its path, or by its name: in ./clusters first, then among the shipped ones.

    `changes` come from the command line: `mem_gb=64`.
    """
    source = read_yaml(_find(name))
    changed = dict(map(_change, changes))

    def where(key: KeyPath) -> str:
        return "--set" if key and key[0] in changed else source.where(key)

    return validate(Profile, source.data | changed, where)


def own_profile() -> str | None:
    """Without Slurm there is none and the study runs here; with it, the one in ./clusters."""
    if shutil.which("sbatch") is None:
        echo("there is no Slurm on this machine, so the runs train here (as --local does)")
        return None
    own = [path.stem for path in sorted(OWN.glob("*.yaml"))]
    if len(own) == 1:
        echo(f"cluster profile: {OWN / own[0]}.yaml")
        return own[0]
    known = f"--cluster PROFILE ({', '.join(own)})" if own else "`petl init --cluster` and then it"
    raise UserError(f"this machine has Slurm: to submit to it, use {known}; to run here, --local 1")


def _change(text: str) -> tuple[str, Any]:
    key, equals, value = text.removeprefix("resources.").partition("=")
    if not equals:
        raise UserError(f"--set {text}: write KEY=VALUE, such as mem_gb=64")
    return key, parse_value(value)


def is_path(name: str) -> bool:
    return "/" in name or name.endswith((".yaml", ".yml"))


def _find(name: str) -> Path:
    if is_path(name):
        return Path(name)
    for folder in (OWN, SHIPPED):
        if (path := folder / f"{name}.yaml").is_file():
            return path
    known = {path.stem for folder in (OWN, SHIPPED) for path in folder.glob("*.yaml")}
    raise UserError(f"no cluster profile '{name}' in ./{OWN} or shipped{nearest(name, known)}")
