"""Settings of recordings that are longer than a clip: windows, and what DEAM needs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from petl.config.base import Settings

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
DEAM_TARGETS = ("valence", "arousal")
FileName = Annotated[str, Field(min_length=1)]


class Windows(Settings):
    """Cuts each recording into clips of `length` seconds, one every `hop` seconds.

    Without a `hop` they stand end to end. What is left at a recording's end is not used.
    `take: middle` makes one clip of each recording, from its middle. All windows of a recording
    are on one side of every split.
    """

    length: Seconds
    hop: Seconds | None = None
    take: Literal["all", "middle"] = "all"
    shorter: Literal["refused", "padded"] = "refused"

    @model_validator(mode="after")
    def _says_one_thing(self) -> Windows:
        if self.take == "middle" and self.hop is not None:
            raise ValueError("dataset.windows.hop is not used with 'take: middle': remove one")
        if self.hop is not None and self.hop > self.length:
            raise ValueError(
                f"dataset.windows.hop is {self.hop:g} s, longer than the window of "
                f"{self.length:g} s: sound in between would never be heard"
            )
        return self


class Lists(Settings):
    """Files in the corpus's folder with the ids of the songs for each part, one in a line."""

    train: FileName
    validation: FileName
    test: FileName


class Deam(Settings):
    """Which songs of DEAM, and what stays together in its splits: an artist's songs, or a song.

    The excerpts have the ids up to 2000. The others are 58 whole songs, of MediaEval 2015.
    """

    songs: Literal["excerpts", "all"] = "excerpts"
    group: Literal["artist", "song"] = "artist"
    lists: Lists | None = None


def check_deam(
    deam: Deam | None, split: str, classes: int | None, targets: tuple[str, ...]
) -> None:
    if wrong := [name for name in targets if name not in DEAM_TARGETS]:
        has = " and ".join(DEAM_TARGETS)
        raise ValueError(f"dataset.targets: DEAM has no '{wrong[0]}'; it has {has}")
    if classes:
        raise ValueError("dataset.classes: DEAM has no classes; it has dataset.targets")
    if (split == "given") != bool(deam and deam.lists):
        raise ValueError("dataset.deam.lists and 'split: given' go together: set both or neither")
