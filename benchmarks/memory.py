"""Memory that a forward pass keeps for the backward pass of one clip, without parameters.

python -m benchmarks.memory [--quick]
"""

from __future__ import annotations

import argparse

from torch.nn import functional as F

from benchmarks.full_size import FULL, QUICK, Library, Size, attentions, clips, machine, ours
from petl.train.failures.memory import kept


def measure(size: Size) -> dict[str, tuple[float, float]]:
    """MB, and the loss, which shows that all models compute the same."""
    rows = {}
    models = {
        "ours": lambda: ours(size),
        "ours, layer_checkpointing: on": lambda: ours(size, layer_checkpointing=True),
    }
    for attention in attentions():
        models[f"the library's, {attention}"] = lambda a=attention: Library(size, a)
    for name, make in models.items():
        model, (x, y) = make(), clips(size, 1)
        rows[name] = sum(kept(model, x)) / 1e6, F.cross_entropy(model(x), y).item()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small model")
    arguments = parser.parse_args()
    print(machine())
    print(f"{'kept for the backward pass of one clip':40s} {'MB':>8s} {'loss':>9s}")
    for name, (mb, loss) in measure(QUICK if arguments.quick else FULL).items():
        print(f"{name:40s} {mb:8.1f} {loss:9.5f}")


if __name__ == "__main__":
    main()
