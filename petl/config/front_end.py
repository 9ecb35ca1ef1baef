"""Settings of the front end: how the sound of a clip becomes the array that a model reads."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from petl.config.base import Count, Settings

RATE = 16_000
"""Samples per second of the AST's filter bank and of waveforms; files are resampled to it."""
HOP = 160
"""Samples from one frame to the next: 10 ms."""
BINS = 128
"""Mel bins of the AST's filter bank."""
LONGEST_S = 600.0


class FilterBank(Settings):
    """The AST's own: Kaldi's log-mel filter bank at 16 kHz, 128 bins, a frame every 10 ms."""

    rate: ClassVar[int] = RATE
    hop: ClassVar[int] = HOP
    fmin: ClassVar[float] = 20.0
    fmax: ClassVar[float] = RATE / 2
    is_image: ClassVar[bool] = False

    kind: Literal["ast"] = "ast"

    def bins_of(self, frames: int) -> int:
        return BINS

    def samples_of(self, frames: int) -> int:
        """As long as a model's input, at `rate`."""
        return frames * HOP


class LibrosaMel(Settings):
    """What librosa's `melspectrogram` and `power_to_db` make of `seconds` of sound.

    Decibels against the clip's loudest value, at least -80, then (x - mean) / std over the clip.
    """

    rate: Annotated[int, Field(ge=1_000, le=192_000)]
    n_fft: Annotated[int, Field(ge=16, le=65_536)]
    hop: Count
    bins: Annotated[int, Field(ge=1, le=1024)]
    fmin: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    fmax: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    seconds: Annotated[float, Field(gt=0, le=LONGEST_S)]

    def samples_of(self, frames: int) -> int:
        return round(self.seconds * self.rate)

    @property
    def computed_frames(self) -> int:
        """One around each `hop` samples, the first and the last one half in silence."""
        return 1 + self.samples_of(0) // self.hop

    @model_validator(mode="after")
    def _has_a_band(self) -> LibrosaMel:
        if self.fmax > self.rate / 2:
            raise ValueError(
                f"dataset.front_end.fmax is {self.fmax:g} Hz; sound at {self.rate} Hz has nothing "
                f"above {self.rate / 2:g} Hz"
            )
        if self.fmin >= self.fmax:
            raise ValueError(
                f"dataset.front_end: fmin {self.fmin:g} is not below fmax {self.fmax:g}"
            )
        return self


class Mel(LibrosaMel):
    """A mel spectrogram; `stretch` makes it as many frames as `dataset.frames`, bilinearly."""

    is_image: ClassVar[bool] = False

    kind: Literal["mel"]
    stretch: bool = False

    def bins_of(self, frames: int) -> int:
        return self.bins


class Image(LibrosaMel):
    """A mel spectrogram as a picture for a ViT: `dataset.frames` wide and as high, from 0 to 1.

    The model makes three equal channels of it and normalises them as ImageNet's.
    """

    is_image: ClassVar[bool] = True

    kind: Literal["image"]

    def bins_of(self, frames: int) -> int:
        return frames


FILTER_BANK = FilterBank()
"""What a dataset has unless it says otherwise."""
FrontEnd = Annotated[FilterBank | Mel | Image, Field(discriminator="kind")]


def check_front_end(front_end: FrontEnd, frames: int, normalises_clips: bool) -> None:
    if front_end.kind == "ast" and normalises_clips:
        raise ValueError(
            "dataset.statistics 'clip' is for the front ends mel and image; set it to numbers "
            "or to training-split"
        )
    if front_end.kind != "ast" and not normalises_clips:
        raise ValueError(
            f"dataset.front_end '{front_end.kind}' normalises each clip by itself: set "
            "dataset.statistics to clip"
        )
    if isinstance(front_end, Mel) and not front_end.stretch:
        computed = front_end.computed_frames
        if frames != computed:
            raise ValueError(
                f"dataset.front_end: {front_end.seconds:g} s make {computed} frames: set "
                f"dataset.frames to {computed}, or front_end.stretch to true"
            )
