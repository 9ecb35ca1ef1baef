"""Parts of the small studies that figures are drawn of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from petl.config.study import Study

KERNELS = {"k3": 0.6, "k8": 0.8, "k31": 0.7}
METHODS: dict[str, Any] = {
    name: {"like": "conformer-pfeiffer", "method": {"block": {"kernel": int(name[1:])}}}
    for name in KERNELS
}
METHODS |= {
    f"lora-{size}": {"like": "lora", "label": f"LoRA 1/{size}", "method": {"reduction": size}}
    for size in (32, 128)
}
FEW = {
    f"esc-{k}": {"like": "esc50", "label": f"ESC · {k}", "dataset": {"few_shot": {"per_class": k}}}
    for k in (1, 4)
}
Make = Callable[..., tuple[Study, Path]]
