"""`petl export --peft`: LoRA, DoRA and (IA)3 as `peft.PeftModel.from_pretrained` reads them."""

from __future__ import annotations

from typing import Any

from safetensors.torch import save
from torch import Tensor

from petl import config
from petl.backbones import ast
from petl.backbones.layouts.read import OWN_NAME
from petl.backbones.library import locate, read_config
from petl.backbones.naming import to_huggingface
from petl.errors import UserError
from petl.methods.blocks import width
from petl.methods.lora import scale_of
from petl.runs.choose import PEFT
from petl.use import to_library
from petl.use.load import LoadedRun
from petl.use.peft.layout import IA3, LORA, PREFIX, TENSORS, places

FAMILIES = ("lora", "dora", "ia3")

README = """\
# {title}

A PEFT adapter of {source}, trained by petl-ast (run {run_id}, {weights} weights).

```python
import torch
from peft import PeftModel
from transformers import ASTConfig, {kind}
{imports}
config = ASTConfig.from_pretrained(folder)
base = {kind}.from_pretrained({source}, config=config, ignore_mismatched_sizes=True)
model = PeftModel.from_pretrained(base, folder).eval()
{use}
```

`input_values` are what `ASTFeatureExtractor.from_pretrained(folder)` makes of a mono waveform at
16000 Hz. `petl predict FOLDER FILE...` works with this folder too.
"""
CLASSIFIER = "logits = model(input_values).logits"
ENCODER = """\
head = load_file(f"{{folder}}/head.safetensors")
hidden = model(input_values).last_hidden_state
logits = {pooled} @ head["weight"].T + head["bias"]"""


def to_peft(run: LoadedRun) -> tuple[dict[str, bytes], str]:
    """The files by name, and a description of them."""
    task = run.task
    _refuse_others(task)
    _refuse_other_layouts(run)
    classifier = task.backbone.pooling == "cls+dist"
    inside = f"{ast.NAMING.prefix}" if classifier else ""
    tensors, whole = _whole_modules(run, classifier, inside)
    targets: dict[str, str] = {}
    for place in places(run.model.backbone):
        for module in place.modules:
            targets[inside + module] = place.target
            tensors |= {f"{inside}{module}.{name}": t for name, t in place.tensors.items()}
    files = {
        PEFT: to_library.as_json(_adapter_config(run, targets, whole)),
        TENSORS: save({f"{PREFIX}{k}": t.detach().cpu().clone() for k, t in tensors.items()}),
        "config.json": to_library.as_json(_library_config(run, classifier)),
        "preprocessor_config.json": to_library.as_json(to_library.preprocessor(run)),
        "README.md": _readme(run, classifier).encode(),
    }
    if not classifier:
        files["head.safetensors"] = save(to_library.head_of(run))
    kind = "ASTForAudioClassification" if classifier else "ASTModel, and its head beside it"
    return files, f"an adapter for peft, of an {kind}; README.md shows how to use it"


def _refuse_others(task: config.Task) -> None:
    family = task.method.family
    if not isinstance(task.backbone, config.AST):
        raise UserError(
            f"--peft writes an adapter of the library's AST, and this backbone is "
            f"{task.backbone.family}; {to_library.INSTEAD}"
        )
    if task.head.norm == "twice":
        raise UserError(
            "--peft writes a head behind one final LayerNorm, and this run has `head.norm: twice`; "
            f"{to_library.INSTEAD}"
        )
    if task.head.pooling == "attentive":
        raise UserError(
            "--peft writes a head that is one linear map, and this run has attentive pooling; "
            f"{to_library.INSTEAD}"
        )
    to_library.refuse_other_heads(task)
    to_library.refuse_other_front_ends(task)
    if family == "combine":
        raise UserError(
            "--peft writes one method, and this run combines "
            f"{' and '.join(part.family for part in task.method.parts)}; {to_library.INSTEAD}"
        )
    if family not in FAMILIES:
        raise UserError(
            f"--peft writes LoRA, DoRA and (IA)3, and peft has no layout for '{family}' on an AST; "
            f"{to_library.INSTEAD}"
        )


def _refuse_other_layouts(run: LoadedRun) -> None:
    """PEFT lets the library read the backbone, which starts anew what it finds no names for."""
    origin = run.model.backbone.origin
    assert origin is not None
    if origin.layout != OWN_NAME:
        raise UserError(
            f"--peft needs a backbone that transformers reads, and {run.task.backbone.source} has "
            f"the layout {origin.layout}; {to_library.INSTEAD}"
        )
    if run.task.backbone.stride is not None:
        raise UserError(
            f"--peft leaves the patches where the backbone has them; {to_library.INSTEAD}"
        )


def _whole_modules(
    run: LoadedRun, classifier: bool, inside: str
) -> tuple[dict[str, Tensor], list[str]]:
    """What is replaced as a whole: the final norm, the classifier, embeddings of another size."""
    own = run.model.backbone.state_dict()
    encoder = to_huggingface({k: t for k, t in own.items() if _is_bare(k)}, ast.NAMING)
    # peft takes modules whose names end so: `embeddings` alone would mean patch_embeddings too
    modules = {f"{inside}layernorm": f"{inside}layernorm" if classifier else "model.layernorm"}
    if run.task.dataset.frames != _base(run)["max_length"]:
        modules[f"{inside}embeddings"] = f"{inside}embeddings" if classifier else "model.embeddings"
    tensors = {
        inside + name: tensor
        for name, tensor in encoder.items()
        if f"{inside}{name}".startswith(tuple(f"{module}." for module in modules))
    }
    if classifier:
        modules["classifier"] = "classifier"
        tensors |= to_library.classifier_tensors(run.model, to_library.head_of(run))
    return tensors, list(modules.values())


def _is_bare(name: str) -> bool:
    return name.startswith(("norm.", "tokens."))


def _base(run: LoadedRun) -> dict[str, Any]:
    return read_config(locate(run.task.backbone.source)[0])


def _library_config(run: LoadedRun, classifier: bool) -> dict[str, Any]:
    pooling = {"pooling": run.task.backbone.pooling}
    return to_library.model_config(run, run.model.backbone, classifier) | pooling


def _adapter_config(run: LoadedRun, targets: dict[str, str], whole: list[str]) -> dict[str, Any]:
    method, environment = run.task.method, run.result["environment"] if run.result else {}
    settings = {
        "task_type": None,
        "base_model_name_or_path": run.task.backbone.source,
        "revision": environment.get("backbone_revision"),
        "inference_mode": True,
        "target_modules": list(targets),
        "modules_to_save": whole,
    }
    if isinstance(method, config.IA3):
        down = [module for module, target in targets.items() if target == "down"]
        return {"peft_type": IA3, **settings, "feedforward_modules": down}
    assert isinstance(method, config.LowRank)
    rank = width(run.model.backbone.shape.hidden, method.reduction)
    return {
        "peft_type": LORA,
        **settings,
        "r": rank,
        "lora_alpha": scale_of(method, rank) * rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "use_dora": isinstance(method, config.DoRA),
    }


def _readme(run: LoadedRun, classifier: bool) -> str:
    names, pooling = run.task.names, run.task.backbone.pooling
    imports = [] if classifier else ["from safetensors.torch import load_file"]
    imports += ["import petl"] if run.task.backbone.source.startswith("builtin:") else []
    return README.format(
        title=f"{names.method_label} on {names.dataset_label}",
        source=_in_python(run.task.backbone.source),
        run_id=run.task.run_id,
        weights=run.weights,
        kind="ASTForAudioClassification" if classifier else "ASTModel",
        imports="".join(f"{line}\n" for line in imports),
        use=CLASSIFIER if classifier else ENCODER.format(pooled=to_library.POOLED[pooling]),
    )


def _in_python(source: str) -> str:
    """As the library finds it: it does not know the checkpoint that comes with petl."""
    name = source.removeprefix("builtin:")
    return repr(source) if name == source else f"petl.__path__[0] + '/backbones/{name}'"
