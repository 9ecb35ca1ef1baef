"""weights.safetensors: what was trained and nothing else; the rest is the backbone's."""

from __future__ import annotations

from petl.config import Task
from petl.files import write_atomic
from petl.runs import RunDir
from petl.train.loop import Outcome


def save_weights(run: RunDir, task: Task, outcome: Outcome) -> None:
    from safetensors.torch import save

    epoch = outcome.epochs if task.weights == "last" else outcome.best_epoch
    facts = {"run_id": task.run_id, "weights": task.weights, "epoch": str(epoch)}
    tensors = {name: tensor.cpu().contiguous() for name, tensor in outcome.weights.items()}
    write_atomic(run.weights_file, save(tensors, facts))
