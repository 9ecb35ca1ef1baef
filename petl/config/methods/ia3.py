from typing import Literal

from petl.config.methods.base import Added


class IA3(Added):
    """Scales of the keys, the values and the inside of the feed-forward network."""

    family: Literal["ia3"]
