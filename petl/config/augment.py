"""Settings of augmentation with a generator's clips."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from petl.config.base import Settings


def is_run_id(generator: str) -> bool:
    return re.fullmatch("[0-9a-f]{16}", generator) is not None


class Augment(Settings):
    """Synthetic clips among those that train; an epoch has as many clips as without them."""

    generator: Annotated[str, Field(min_length=1)]
    """The run id of a generator; in a study also STUDY/METHOD, its run of the same dataset, fold
    and seed."""
    share: float | None = None
    """Of an epoch's clips, how many are synthetic: 0 or more, and below 1."""
    real: bool = True
    """false: train on synthetic clips alone."""
    conditions: Literal["given", "shuffled"] = "given"
    """shuffled: each synthetic clip gets the label of another one, as a control."""

    @model_validator(mode="after")
    def _share_or_alone(self) -> Augment:
        study, _, method = self.generator.rpartition("/")
        if not is_run_id(self.generator) and not (study and method):
            raise ValueError(
                f"augment.generator '{self.generator}': should be the 16 digits of a run, or "
                "STUDY/METHOD"
            )
        if not self.real and self.share is not None:
            raise ValueError("augment.share and 'real: false': set one of them")
        if self.real and self.share is None:
            raise ValueError("augment.share is missing: the share of synthetic clips, such as 0.3")
        if self.share is not None and not 0 <= self.share < 1:
            raise ValueError(
                f"augment.share {self.share:g}: should be 0 or more and below 1; 'real: false' "
                "trains on synthetic clips alone"
            )
        return self

    def of(self, clips: int) -> int:
        """How many of an epoch's clips are synthetic."""
        return clips if self.share is None else round(self.share * clips)
