"""The loss of a regression: `mse`, `mae`, `ccc`, or a mix such as `0.5 ccc + 0.5 mse`."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import AfterValidator

from petl.errors import nearest

LOSSES = ("mse", "mae", "ccc")
"""Mean squared error, mean absolute error, and one minus the CCC of the batch."""
_PART = re.compile(r"(\d[\w.+-]*)\s*\*?\s*([a-z]+)")


def parts(loss: str) -> dict[str, float]:
    """The weight of each loss: of a single one, 1."""
    if loss in LOSSES:
        return {loss: 1.0}
    if loss.isidentifier():
        raise ValueError(f"train.loss cannot be '{loss}'{nearest(loss, LOSSES)}")
    found: dict[str, float] = {}
    for part in re.split(r"\s\+\s", loss.strip()):
        match = _PART.fullmatch(part.strip())
        weight = _number(match[1]) if match else math.nan
        if not match or not 0 < weight < math.inf:
            raise ValueError(
                f"train.loss: '{part:.40}' is not a weight and a loss; "
                "write a mix as '0.5 ccc + 0.5 mse'"
            )
        if match[2] not in LOSSES:
            raise ValueError(f"train.loss: no loss '{match[2]}'{nearest(match[2], LOSSES)}")
        if match[2] in found:
            raise ValueError(f"train.loss: '{match[2]}' stands twice in '{loss:.60}'")
        found[match[2]] = weight
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _written_alike(loss: str) -> str:
    """A mix is written in one way, so that it is one run: `0.5 ccc + 0.5 mse`."""
    found = parts(loss)
    if found in ({name: 1.0} for name in LOSSES):
        return next(iter(found))
    return " + ".join(f"{found[name]:.15g} {name}" for name in sorted(found))


Loss = Annotated[str, AfterValidator(_written_alike)]
