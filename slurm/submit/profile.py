"""A cluster profile: what its jobs ask for and what they run in. YAML, checked like a study."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from petl.config.base import Count, Settings
from petl.config.validate import validate
from petl.config.yamlfile import KeyPath, parse_value, read_yaml
from petl.errors import UserError, nearest

SHIPPED = Path(__file__).parents[1] / "clusters"
OWN = Path("clusters")
SLURM_TIME = re.compile(r"(\d+-)?\d+(:\d\d){0,2}")

Word = Annotated[str, Field(min_length=1)]
Words = Annotated[tuple[Word, ...], Field(strict=False)]
Gigabytes = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Venv(Settings):
    """No container: a Python that the nodes see under the same path."""

    kind: Literal["venv"]
    python: Word | None = None
    """The one that submits, unless said otherwise."""


class Image(Settings):
    image: Word
    python: Word = "python3"
    binds: Words = ()
    """Folders besides runs, data and cache; each has the same path inside."""
    options: Words = ()
    """More arguments for the container's own command."""


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
    """Slurm's own ways to write it: minutes, HH:MM:SS, D-HH:MM:SS."""
    sbatch: dict[str, str | int | bool] = Field(default={})
    """Any other option of sbatch, without its dashes."""

    container: Annotated[Venv | Apptainer | Pyxis | Charliecloud, Field(discriminator="kind")] = (
        Venv(kind="venv")
    )
    setup: Words = ()
    """Shell lines that run on the node first: `module load apptainer`."""

    throttle: Count | None = None
    """So many jobs of a study at a time."""
    max_array_size: Count | None = None
    """Where the cluster's own MaxArraySize cannot be asked, or is more than one may use."""
    tasks_per_job: Count = 1
    """Short tasks one after the other in one job."""
    side_by_side: Count = 1
    """So many of them at a time, which share the job's GPU."""

    requeue: bool = True
    """Interrupted and preempted jobs go back into the queue by themselves."""
    signal_lead_s: Annotated[int, Field(ge=1, le=65535)] = 120
    """So long before its time is up a job is told, and writes its checkpoint."""
    fruitless_requeues: Count = 3
    """A task that gets no further in so many tries stops."""
    hold_after: Count = 3
    """After so many failures with the same traceback the rest waits for a person."""
    most_mem_gb: Gigabytes | None = None
    """A task that ran out of memory is tried once more with twice as much, up to this."""

    @field_validator("time", mode="before")
    @classmethod
    def _minutes_too(cls, said: object) -> object:
        return str(said) if isinstance(said, int) else said

    @field_validator("time")
    @classmethod
    def _as_slurm_writes_it(cls, said: str) -> str:
        if not SLURM_TIME.fullmatch(said):
            raise ValueError(f"time '{said}': write minutes, HH:MM:SS or D-HH:MM:SS")
        return said

    @property
    def more_mem_gb(self) -> float:
        """For the one more try of a task that ran out of memory."""
        twice = 2 * self.mem_gb
        return min(twice, self.most_mem_gb) if self.most_mem_gb is not None else twice


def load_profile(name: str, changes: Sequence[str] = ()) -> Profile:
    """By its path, or by its name: in ./clusters first, then among those that come along.

    `changes` are a person's own, as in `mem_gb=64`.
    """
    source = read_yaml(_find(name))
    changed = dict(map(_change, changes))

    def where(key: KeyPath) -> str:
        return "--set" if key and key[0] in changed else source.where(key)

    return validate(Profile, source.data | changed, where)


def _change(said: str) -> tuple[str, Any]:
    key, equals, value = said.removeprefix("resources.").partition("=")
    if not equals:
        raise UserError(f"--set {said}: write KEY=VALUE, such as mem_gb=64")
    return key, parse_value(value)


def _find(name: str) -> Path:
    if "/" in name or name.endswith((".yaml", ".yml")):
        return Path(name)
    for folder in (OWN, SHIPPED):
        if (path := folder / f"{name}.yaml").is_file():
            return path
    known = {path.stem for folder in (OWN, SHIPPED) for path in folder.glob("*.yaml")}
    raise UserError(f"no cluster profile '{name}' in ./{OWN} nor shipped{nearest(name, known)}")
