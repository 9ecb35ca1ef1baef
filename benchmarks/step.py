"""The time of one training step, beside its matrix products alone and the library's own model.

    python -m benchmarks.step [--quick] [--batch 4] [--threads 2] [--rounds 7]

The variants run in alternating rounds, so that other load affects all of them. The fastest round
counts. On a GPU, it measures float32, TF32 and bfloat16.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.full_size import FULL, QUICK, Library, Size, attentions, clips, machine, ours
from petl.backbones.encoder import Encoder, Layer, unwrap
from petl.model.build import Model

Operands = list[tuple[Tensor, Tensor]]
PRODUCTS = "its matrix products alone"


def products(model: Model, batch: int, dtype: torch.dtype) -> Operands:
    """The operands of every matrix product that a step needs.

    Without adapters and without gradients of frozen weights. Below the first layer's feed-forward
    network nothing trains, so the backward pass ends there.
    """
    encoder: Encoder = model.backbone
    shape, special = encoder.shape, encoder.special
    patches = unwrap(encoder.tokens).position.shape[1] - special
    device = model.head.weight.device

    def tokens(width: int) -> Tensor:
        return torch.randn(batch * (special + patches), width, device=device, dtype=dtype)

    narrow, triple, wide = tokens(shape.hidden), tokens(3 * shape.hidden), tokens(shape.mlp)
    head = narrow.view(batch, -1, shape.heads, shape.hidden // shape.heads).transpose(1, 2)
    head = head.contiguous()
    scores = (head @ head.transpose(-2, -1)).softmax(dim=-1)
    patch = unwrap(encoder.tokens).patch.weight.flatten(1).to(dtype)
    pixels = torch.randn(batch * patches, patch.shape[1], device=device, dtype=dtype)
    operands: Operands = [(pixels, patch.t())]
    for index, layer in enumerate(encoder.bare_layers()):
        qkv, out, up, down = (w.to(dtype) for w in _weights(layer))
        forward = [(narrow, qkv.t()), (narrow, out.t()), (narrow, up.t()), (wide, down.t())]
        attention = [(head, head.transpose(-2, -1)), (scores, head)]
        operands += forward + attention + [(narrow, down), (wide, up)]
        if index > 0:
            of_queries_and_keys = [(scores, head), (scores.transpose(-2, -1), head)]
            of_values = [(scores.transpose(-2, -1), head), (head, head.transpose(-2, -1))]
            operands += of_queries_and_keys + of_values + [(narrow, out), (triple, qkv)]
    return operands


def _weights(layer: Layer) -> tuple[Tensor, ...]:
    attention, ffn = unwrap(layer.attention), unwrap(layer.ffn)
    modules = (unwrap(attention.qkv).linear, attention.out, ffn.up, ffn.down)
    return tuple(module.weight.detach() for module in modules)


def flops(operands: Operands) -> int:
    return sum(2 * a.numel() * b.shape[-1] for a, b in operands)


def multiply(operands: Operands) -> None:
    for a, b in operands:
        torch.matmul(a, b)


def trainer(model: nn.Module, x: Tensor, y: Tensor, autocast: bool) -> Callable[[], Any]:
    """A training step, as in the training loop."""
    adamw = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

    def step() -> None:
        with _precision(x, autocast):
            loss = F.cross_entropy(model(x), y)
        adamw.zero_grad(set_to_none=True)
        loss.backward()
        adamw.step()

    return step


def evaluator(model: nn.Module, x: Tensor, autocast: bool) -> Callable[[], Any]:
    model.eval()

    def evaluate() -> None:
        with torch.no_grad(), _precision(x, autocast):
            model(x)

    return evaluate


def _precision(x: Tensor, autocast: bool) -> AbstractContextManager[None]:
    return torch.autocast(x.device.type, torch.bfloat16) if autocast else nullcontext()


@dataclass
class Taken:
    seconds: list[float] = field(default_factory=list)
    peak_mb: float = 0.0  # on a GPU, beyond the weights

    @property
    def best(self) -> float:
        return min(self.seconds)


def compare(variants: dict[str, Callable[[], Any]], rounds: int) -> dict[str, Taken]:
    """Run every variant in every round, after one round of warm-up."""
    taken = {name: Taken() for name in variants}
    for number in range(rounds + 1):
        for name, run in variants.items():
            before = _allocated()
            started = time.perf_counter()
            run()
            peak = _peak()
            if number:
                taken[name].seconds.append(time.perf_counter() - started)
                taken[name].peak_mb = (peak - before) / 1e6
    return taken


def _allocated() -> int:
    if not torch.cuda.is_available():
        return 0
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def _peak() -> int:
    if not torch.cuda.is_available():
        return 0
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated()


def benchmark(size: Size, batch: int, rounds: int, device: str, precision: str) -> None:
    low = precision == "bf16"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    x, y = clips(size, batch, device)
    model = ours(size).to(device)
    dtype = torch.bfloat16 if low else torch.float32
    operands = products(model, batch, dtype)
    variants: dict[str, Callable[[], Any]] = {
        PRODUCTS: lambda: multiply(operands),
        "ours": trainer(model, x, y, low),
        "ours, evaluation": evaluator(ours(size).to(device), x, low),
    }
    if not low:  # in full precision, as the layer would be computed once more
        checkpointing = ours(size, layer_checkpointing=True).to(device)
        variants["ours, layer_checkpointing: on"] = trainer(checkpointing, x, y, low)
    for attention in attentions():
        library = Library(size, attention).to(device)
        variants[f"the library's, {attention}"] = trainer(library, x, y, low)
    print(f"\n{precision}, batch {batch}")
    report(compare(variants, rounds), batch, flops(operands), _rate(device, dtype))


def report(taken: dict[str, Taken], batch: int, needed: int, rate: float | None) -> None:
    floor = taken[PRODUCTS].best
    gpu = f"{'peak MB':>9s}{'of rate':>9s}" if rate else ""
    print(f"{'':32s}{'fastest s':>10s}{'median s':>10s}{'x products':>11s}{'clips/s':>9s}{gpu}")
    for name, t in taken.items():
        row = f"{name:32s}{t.best:10.4f}{statistics.median(t.seconds):10.4f}{t.best / floor:11.3f}"
        row += f"{batch / t.best:9.2f}"
        if rate:
            share = "" if "evaluation" in name else f"{needed / t.best / rate:9.0%}"
            row += f"{t.peak_mb:9.0f}{share}"
        print(row)
    print(f"the products run at {needed / floor / 1e9:,.0f} GFLOP/s")


def _rate(device: str, dtype: torch.dtype) -> float | None:
    """The FLOP/s that the card reaches with one large matrix product."""
    if device == "cpu":
        return None
    a = torch.randn(8192, 8192, device=device, dtype=dtype)
    taken = compare({"large": lambda: torch.matmul(a, a)}, rounds=10)
    return 2 * 8192**3 / taken["large"].best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small model, two rounds")
    parser.add_argument("--batch", type=int, help="clips; 4 on the CPU, 32 on a GPU")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(machine())
    gpu = torch.cuda.is_available()
    size, rounds = (QUICK, 2) if arguments.quick else (FULL, arguments.rounds)
    for precision in ("fp32", "tf32", "bf16") if gpu else ("fp32",):
        batch = arguments.batch or (32 if gpu else 4)
        benchmark(size, batch, rounds, "cuda" if gpu else "cpu", precision)


if __name__ == "__main__":
    main()
