"""Run directories -> one DataFrame -> tables and figures. Reads runs, never changes them; no torch.

`load`, `history` and `synthetic` are imported when they are first used: commands live in this
package too, and a login node without pandas still shows their help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.collect import history, load, synthetic

__all__ = ["history", "load", "synthetic"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from analysis import collect

        return getattr(collect, name)
    raise AttributeError(f"module 'analysis' has no attribute '{name}'")
