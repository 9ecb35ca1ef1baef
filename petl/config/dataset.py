"""Settings of the data: which clips, in which folder layout, how split and how presented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from petl.config.base import Count, Finite, Rate, Settings
from petl.config.front_end import FILTER_BANK, FrontEnd, check_front_end
from petl.config.group_pattern import GroupPattern
from petl.config.kinds import NO_LABELS, NUMBERS, ONE_LABEL, SEVERAL_LABELS, Kind
from petl.config.songs import Deam, Windows, check_deam

DRAWN = ("grouped", "random")
"""Folds drawn here, for all layouts with groups: no group is in two of them, or some are."""
SPLITS: dict[str, tuple[str, ...]] = {
    "esc50": ("paper", "ast-recipe", *DRAWN),
    "urbansound8k": ("paper", "held-out", *DRAWN),
    "speech-commands": ("paper", *DRAWN),
    "fluent-speech-commands": ("paper", *DRAWN),
    "iemocap": ("paper", *DRAWN),
    "folders": ("given", "ratio", "k-fold", "windows-at-random", *DRAWN),
    "table": ("given", "ratio", "k-fold", "windows-at-random", *DRAWN),
    "sounds": ("ratio", "k-fold"),
    "audioset": ("ast-recipe", "held-out"),
    "fsd50k": ("paper",),
    "deam": ("held-out", "given", "ratio", "windows-at-random", *DRAWN),
}
"""The layouts and the splits of each; petl/data/layouts/ reads, petl/data/splits.py splits them."""
SEVERAL = ("audioset", "fsd50k")
"""The layouts in which a clip has several labels; a table has them with a `separator`."""
UNLABELLED = "sounds"
"""The layout without labels: all sound files in a folder."""

OF_NUMBERS = ("table", "deam")
"""The layouts that can have `targets`."""
OWN = ("folders", "table")
"""The layouts of own sounds, which need a pattern or a column to know groups."""
OF_RECORDINGS = (*OWN, "deam")
"""The layouts that `windows` can cut."""

if TYPE_CHECKING:
    Layout = str
else:
    Layout = Literal[tuple(SPLITS)]
NEEDS = "dataset needs either 'classes' (a number) or 'targets' (columns of a table)"
Form = Literal["spectrogram", "waveform"]
"""What a backbone reads."""
Channel = Literal["mean", "left"]
"""How several channels become one: their mean, or the first."""
Share = Annotated[float, Field(ge=0, lt=1)]
MOST_MASKS = 100


class Statistics(Settings):
    """Normalises spectrograms to (x - mean) / (2 std), as in the pre-training of the AST."""

    mean: Finite
    std: Rate


class SpecAugment(Settings):
    """Blanks bands of mel bins and stretches of frames in each training spectrogram.

    `frequency` and `time` are the greatest widths; bands and stretches may overlap.
    """

    frequency: Annotated[int, Field(ge=0)]
    time: Annotated[int, Field(ge=0)]
    bands: Annotated[int, Field(ge=1, le=MOST_MASKS)] = 1
    stretches: Annotated[int, Field(ge=1, le=MOST_MASKS)] = 1
    mask: Literal["after-normalisation", "before-normalisation"]


class FewShot(Settings):
    """Limits the training clips of each class: the first ones, or drawn by seed and fold."""

    per_class: Count
    draw: Literal["first", "seeded"]


class Ratio(Settings):
    """Shares for validation and test; the rest trains. Drawn for each class, by the fold."""

    validation: Share
    test: Share

    @model_validator(mode="after")
    def _some_are_left(self) -> Ratio:
        if self.validation + self.test >= 1:
            raise ValueError("dataset.ratio leaves no clip to train on")
        if not self.validation:
            raise ValueError("dataset.ratio.validation is 0: the best epoch needs validation clips")
        return self


class Table(Settings):
    """A CSV file in the corpus's folder, one clip a row; its paths are relative to that folder.

    `fold` names a column of numbers from 1: fold i tests the clips of fold i + 1 and validates on
    those of the fold before it. `part` names a column that holds train, validation or test.
    `group` names a column that says which clips belong together: recordings, speakers, songs.
    With a `separator`, the label's column holds several labels: `rain; wind` with `";"`.
    """

    file: Annotated[str, Field(min_length=1)]
    path: Annotated[str, Field(min_length=1)]
    label: str | None = None
    separator: Annotated[str, Field(min_length=1)] | None = None
    fold: str | None = None
    part: str | None = None
    group: str | None = None

    def check(self, split: str, has_classes: bool, has_targets: bool) -> None:
        if has_classes and self.label is None:
            raise ValueError("dataset.table.label is missing; it names the column with the class")
        if has_targets and (self.label, self.separator) != (None, None):
            raise ValueError("dataset.table.label is for classes; a regression has none")
        splitting = [column for column in (self.fold, self.part) if column is not None]
        if len(splitting) != (split == "given"):
            raise ValueError(
                "dataset.table: 'split: given' needs one column, 'fold' or 'part'; "
                "the other splits need none"
            )


class Scale(Settings):
    """What a model learns of a regression's targets: (x - centre) / spread."""

    centre: Finite
    spread: Rate

    def of(self, x: Any) -> Any:
        return (x - self.centre) / self.spread

    def undone(self, x: Any) -> Any:
        """A model's answers in the unit of the targets."""
        return x * self.spread + self.centre


class Dataset(Settings):
    """Which clips, in which folder layout, cut to how many frames, and how split.

    `classes` makes it a classification, with one label for each clip or several; `targets`,
    columns of a table, makes it a regression. Without both, its sounds alone are used. `group` is a
    pattern that finds the recording or speaker in the path of each clip.
    """

    corpus: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    layout: Layout
    classes: Annotated[int, Field(ge=2)] | None = None
    targets: Annotated[tuple[str, ...], Field(strict=False)] = ()
    scale: Scale | None = None
    range: Annotated[tuple[Finite, Finite], Field(strict=False)] | None = None
    """The lowest and the highest value that a target can have; others are mistakes."""
    table: Table | None = None
    folds: Count
    frames: Annotated[int, Field(ge=16)]
    split: Literal[
        "paper",
        "ast-recipe",
        "held-out",
        "given",
        "ratio",
        "k-fold",
        "windows-at-random",
        "grouped",
        "random",
    ]
    ratio: Ratio | None = None
    group: GroupPattern | None = None
    channel: Channel = "mean"
    every: Count = 1
    """For a quick try: each part of the split keeps every so many-th of its clips, and at least one
    of each class."""
    few_shot: FewShot | None = None
    statistics: Statistics | Literal["training-split", "clip"]
    """`clip`: the front end normalises each clip by itself."""
    spec_augment: SpecAugment | None
    windows: Windows | None = None
    deam: Deam | None = None
    front_end: FrontEnd = FILTER_BANK

    @property
    def bins(self) -> int:
        """How high a spectrogram is; it is `frames` wide."""
        return self.front_end.bins_of(self.frames)

    @property
    def seconds(self) -> float:
        """What a model hears of a clip."""
        return self.front_end.samples_of(self.frames) / self.front_end.rate

    @property
    def outputs(self) -> int:
        return len(self.targets) or self.classes or 0

    @property
    def kind(self) -> Kind:
        if self.targets:
            return NUMBERS
        if self.classes is None:
            return NO_LABELS
        separated = self.table is not None and self.table.separator is not None
        return SEVERAL_LABELS if separated or self.layout in SEVERAL else ONE_LABEL

    @model_validator(mode="after")
    def _says_one_thing(self) -> Dataset:
        if self.classes is not None and self.targets:
            raise ValueError(NEEDS)
        if self.layout == UNLABELLED and (self.classes or self.targets):
            raise ValueError(
                f"dataset.layout '{UNLABELLED}' has no labels, so it is for pre-training with an "
                "'objective'; a folder for each class is 'layout: folders'"
            )
        if self.targets and self.layout not in OF_NUMBERS:
            raise ValueError(f"dataset.targets needs 'layout: table', not '{self.layout}'")
        for name, value in (("scale", self.scale), ("range", self.range)):
            if value is not None and not self.targets:
                raise ValueError(f"dataset.{name} is for the targets of a regression")
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError("dataset.range is the lowest value, then the highest, such as [1, 9]")
        if self.split not in SPLITS[self.layout]:
            can = ", ".join(SPLITS[self.layout])
            raise ValueError(f"dataset.split '{self.split}': layout '{self.layout}' allows {can}")
        if (self.split == "ratio") != (self.ratio is not None):
            raise ValueError("dataset.ratio and 'split: ratio' go together: set both or neither")
        if (self.layout == "table") != (self.table is not None):
            raise ValueError("dataset.table and 'layout: table' go together: set both or neither")
        if self.table is not None:
            self.table.check(self.split, bool(self.classes), bool(self.targets))
        self._groups_fit()
        self._songs_fit()
        if self.layout == "deam":
            check_deam(self.deam, self.split, self.classes, self.targets)
        elif self.deam:
            raise ValueError("dataset.deam is for 'layout: deam'")
        if self.targets and self.few_shot:
            raise ValueError("dataset.few_shot counts clips per class; a regression has no classes")
        if self.kind is SEVERAL_LABELS and self.few_shot:
            raise ValueError("dataset.few_shot is for clips with one label each")
        check_front_end(self.front_end, self.frames, self.statistics == "clip")
        return self

    def _groups_fit(self) -> None:
        own = self.layout in OWN
        if own and self.split in DRAWN and not (self.group or (self.table and self.table.group)):
            column = ", or dataset.table.group, a column" if self.table else ""
            raise ValueError(
                f"dataset.split '{self.split}' needs dataset.group, a pattern that finds the "
                f"recording or speaker in a path{column}"
            )
        if self.group and not own:
            raise ValueError(
                f"dataset.group is for the layouts folders and table, not '{self.layout}'"
            )
        if self.group and self.table and self.table.group:
            raise ValueError(
                "dataset.group and dataset.table.group both say the groups: set one of them"
            )

    def _songs_fit(self) -> None:
        if self.windows and self.layout not in OF_RECORDINGS:
            can = ", ".join(OF_RECORDINGS)
            raise ValueError(f"dataset.windows: layout '{self.layout}' has none; {can} have")
        if self.split == "windows-at-random" and not self.windows:
            raise ValueError("dataset.split 'windows-at-random' needs dataset.windows")
