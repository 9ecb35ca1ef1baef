from typing import Literal

from petl.config.methods.base import Added


class SSF(Added):
    """Scale and shift of the output of every LayerNorm and linear map of a layer."""

    family: Literal["ssf"]
