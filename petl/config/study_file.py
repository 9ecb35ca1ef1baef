"""What a study's YAML file may contain, and the presets that studies pick from."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from petl.config.base import Seed, Settings


def _one_or_many(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Name = Annotated[str, Field(min_length=1)]
Names = Annotated[
    list[Name],
    BeforeValidator(_one_or_many, json_schema_input_type=Name | list[Name]),
    Field(min_length=1),
]
Fold = Annotated[int, Field(ge=0)]
Folds = Annotated[
    list[Fold],
    BeforeValidator(_one_or_many, json_schema_input_type=Fold | list[Fold]),
    Field(min_length=1),
]
Seeds = Annotated[
    list[Seed],
    BeforeValidator(_one_or_many, json_schema_input_type=Seed | list[Seed]),
    Field(min_length=1),
]
Values = Annotated[list[Any], BeforeValidator(_one_or_many), Field(min_length=1)]
Tree = dict[str, Any]
"""Part of a task's settings; validated once they are merged into a whole Task."""


Report = Literal["test_last", "test_best"]
Sound = Literal["speech", "other"]
Masks = Literal["mild", "strong"]
"""Names for the settings of SpecAugment."""


class Matrix(Settings):
    """Every combination becomes a task."""

    dataset: Names
    method: Names
    backbone: Names
    fold: Literal["all"] | Folds
    seed: Seeds
    settings: dict[str, Values] = Field(default={})
    """The grid. In the file, each is a key of the matrix: `train.lr: [1e-3, 5e-3]`."""

    @model_validator(mode="before")
    @classmethod
    def _keys_with_a_dot(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        settings = {key: value for key, value in data.items() if "." in str(key)}
        return {key: data[key] for key in data if key not in settings} | {"settings": settings}


class Match(Settings):
    """Picks combinations by name; `*` matches anything. All given keys must match."""

    dataset: Names | None = None
    backbone: Names | None = None
    method: Names | None = None

    def covers(self, **asked: str | int) -> bool:
        for key, value in asked.items():
            wanted = getattr(self, key, None)
            if wanted is None:
                continue
            if isinstance(value, str):
                if not any(fnmatchcase(value, pattern) for pattern in wanted):
                    return False
            elif value not in wanted:
                return False
        return True


class TaskMatch(Match):
    fold: Folds | None = None
    seed: Seeds | None = None


class When(Match):
    """Settings for the combinations that it matches."""

    set: Tree


class Preset(Settings):
    """A name for part of a task's settings; `like` starts from another preset of the same kind."""

    label: str | None = None
    like: Name | None = None
    dataset: Tree = Field(default={})
    backbone: Tree = Field(default={})
    method: Tree = Field(default={})
    head: Tree = Field(default={})
    train: Tree = Field(default={})
    objective: Tree = Field(default={})
    generator: Tree = Field(default={})
    augment: Tree = Field(default={})


class DatasetPreset(Preset):
    sound: Sound | None = None
    """What the clips are. It chooses the kernel of the presets' conformer adapters."""


class StudyFile(Settings):
    model_config = ConfigDict(title="petl-ast study")

    description: str = ""
    profile: Literal["as-run", "as-intended"] = "as-intended"
    report: Report | None = None
    """By default what the profile means: the last epoch as run, the best one as intended."""
    keep_weights: bool | None = None
    """By default, the weights are kept where they are small."""
    matrix: Matrix
    datasets: dict[str, DatasetPreset] = Field(default={})
    backbones: dict[str, Preset] = Field(default={})
    methods: dict[str, Preset] = Field(default={})
    objective: Tree = Field(default={})
    """Pre-train without labels: what the model learns."""
    generator: Tree = Field(default={})
    """Fit a generator of spectrograms."""
    augment: Tree = Field(default={})
    """Train with a generator's clips too."""
    set: Tree = Field(default={})
    when: list[When] = Field(default=[])
    only: list[TaskMatch] = Field(default=[])
    except_: list[TaskMatch] = Field(default=[], alias="except")


def report_of(file: StudyFile) -> Report:
    return file.report or ("test_last" if file.profile == "as-run" else "test_best")


class PresetFile(Settings):
    defaults: Tree
    profiles: dict[str, Tree]
    datasets: dict[str, DatasetPreset]
    backbones: dict[str, Preset]
    methods: dict[str, Preset]
