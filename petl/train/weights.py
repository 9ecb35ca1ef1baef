"""weights.safetensors: what was trained and nothing else; the rest is the backbone's.

The same run gives the same bytes: the facts are under one key, because the library would write
several in any order.
"""

from __future__ import annotations

import json

from petl.config import Task
from petl.files import write_atomic
from petl.runs.directory import RunDir
from petl.train.loop import Outcome


def save_weights(run: RunDir, task: Task, outcome: Outcome) -> None:
    from safetensors.torch import save

    epoch = outcome.epochs if task.weights == "last" else outcome.best_epoch
    facts = json.dumps({"run_id": task.run_id, "weights": task.weights, "epoch": epoch})
    tensors = {name: tensor.cpu().contiguous() for name, tensor in outcome.weights.items()}
    write_atomic(run.weights_file, save(tensors, {"petl": facts}))
