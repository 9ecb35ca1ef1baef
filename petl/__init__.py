"""petl-ast: parameter-efficient transfer learning of audio transformers, as SLURM jobs.

What follows is for Python: docs/python.md. A name is loaded when it is used, so that `import petl`
is quick and a login node needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from petl.errors import UserError

if TYPE_CHECKING:
    from analysis.collect import load as results
    from petl.config.python import expand
    from petl.methods.apply import merge
    from petl.methods.subset import start_epoch
    from petl.model.attach import attach
    from petl.model.build import trained_state
    from petl.train.run import train
    from petl.use.python import build, load

__version__ = "0.1.0"

NAMES = {
    "attach": "petl.model.attach:attach",
    "build": "petl.use.python:build",
    "expand": "petl.config.python:expand",
    "load": "petl.use.python:load",
    "merge": "petl.methods.apply:merge",
    "results": "analysis.collect:load",
    "start_epoch": "petl.methods.subset:start_epoch",
    "train": "petl.train:",
    "trained_state": "petl.model.build:trained_state",
}
"""Where each name comes from. Rooms such as `petl.config` are imported as usual."""

__all__ = [
    "UserError",
    "__version__",
    "attach",
    "build",
    "expand",
    "load",
    "merge",
    "results",
    "start_epoch",
    "train",
    "trained_state",
]


def __getattr__(name: str) -> Any:
    if name not in NAMES:
        raise AttributeError(f"module 'petl' has no attribute '{name}'")
    module, _, attribute = NAMES[name].partition(":")
    loaded = import_module(module)
    return getattr(loaded, attribute) if attribute else loaded


def __dir__() -> list[str]:
    return sorted({*globals(), *NAMES})
