"""Settings of recordings that are longer than a clip, such as songs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from petl.config.base import Settings

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


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
