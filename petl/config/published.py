"""How many clips the published datasets have, in which classes, folds and parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Published:
    """Counts of clips. An empty field was not published."""

    clips: int
    classes: Mapping[str, int] = field(default_factory=dict)
    per_class: int | None = None
    """Where all classes have the same number."""
    folds: tuple[int, ...] = ()
    """Of fold 1, 2, ..."""
    fold: str = "fold"
    """What the dataset calls a fold."""
    parts: Mapping[str, int] = field(default_factory=dict)


PUBLISHED: Mapping[str, Published] = {
    "esc50": Published(2_000, per_class=40, folds=(400,) * 5),
    "esc10": Published(400, per_class=40, folds=(80,) * 5),
    "urbansound8k": Published(
        8_732,
        classes={
            "air_conditioner": 1_000,
            "car_horn": 429,
            "children_playing": 1_000,
            "dog_bark": 1_000,
            "drilling": 1_000,
            "engine_idling": 1_000,
            "gun_shot": 374,
            "jackhammer": 1_000,
            "siren": 929,
            "street_music": 1_000,
        },
        folds=(873, 888, 925, 990, 936, 823, 838, 806, 816, 837),
    ),
    "speech-commands": Published(
        105_829, parts={"train": 84_843, "validation": 9_981, "test": 11_005}
    ),
    "fluent-speech-commands": Published(
        30_043, parts={"train": 23_132, "validation": 3_118, "test": 3_793}
    ),
    "iemocap": Published(
        5_531,
        classes={"neutral": 1_708, "happy": 1_636, "sad": 1_084, "angry": 1_103},
        folds=(1_085, 1_023, 1_151, 1_031, 1_241),
        fold="session",
    ),
    "audioset": Published(42_531, parts={"train": 22_160, "test": 20_371}),
    "fsd50k": Published(51_197, parts={"train": 36_796, "validation": 4_170, "test": 10_231}),
    "deam": Published(1_744),
}
"""By the name of the corpus, which is its folder's."""
