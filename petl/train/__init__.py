"""The training of one task, and in Python a function: `result = petl.train(task)`."""

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    """Importing any module of this room makes `petl.train` the room, so it is the function too."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        from petl.train.run import train

        return train(*arguments, **named)


sys.modules[__name__].__class__ = _Room
