"""The JSON Schema of a study, with which editors complete and check one while it is written.

It is made from the models that validate a study when it is read. A study sets parts of a task, so
nothing of a task is required here; whether a task is complete is checked once it is merged.
"""

from __future__ import annotations

from typing import Any, get_args

from petl.config.overlay import TASK_PARTS
from petl.config.study import PRESETS
from petl.config.study_file import Masks, StudyFile
from petl.config.task import Task
from petl.config.yamlfile import read_yaml

Schema = dict[str, Any]
KINDS = ("dataset", "backbone", "method")


def study_schema() -> Schema:
    study, task = StudyFile.model_json_schema(), Task.model_json_schema()
    parts = {part: _optional(task["properties"][part]) for part in TASK_PARTS}
    definitions = study["$defs"] | {name: _optional(d) for name, d in task["$defs"].items()}
    for kind in KINDS:
        definitions |= _names(kind)
    definitions["Parts"] = {"type": "object", "properties": parts, "additionalProperties": False}

    for preset in ("Preset", "DatasetPreset"):
        definitions[preset]["properties"] |= parts
    masks = definitions["Dataset"]["properties"]["spec_augment"]
    masks["anyOf"].append({"enum": [*get_args(Masks)]})
    for holder in (study, definitions["When"]):
        holder["properties"]["set"] = {"$ref": "#/$defs/Parts"}
    for model in ("Matrix", "When", "TaskMatch"):
        names = {kind: {"$ref": f"#/$defs/{kind}-names"} for kind in KINDS}
        definitions[model]["properties"] |= names

    matrix = definitions["Matrix"]
    del matrix["properties"]["settings"]
    matrix["patternProperties"] = {f"^({'|'.join(TASK_PARTS)})[.]": {"minItems": 1}}

    draft = "https://json-schema.org/draft/2020-12/schema"
    plain: Schema = _plain(study | {"$defs": definitions})
    return {"$schema": draft, "title": "petl-ast study"} | plain


def _names(kind: str) -> Schema:
    """Offers the suite's presets and allows others: a study's own, and patterns in rules."""
    known = sorted(read_yaml(PRESETS).data[f"{kind}s"])
    name = {"$ref": f"#/$defs/{kind}-name"}
    return {
        f"{kind}-name": {"anyOf": [{"enum": known}, {"type": "string", "minLength": 1}]},
        f"{kind}-names": {"anyOf": [name, {"type": "array", "items": name, "minItems": 1}]},
    }


def _optional(schema: Schema) -> Schema:
    """With nothing required, settings may fit several methods, hence anyOf instead of oneOf."""
    schema = {
        key: value for key, value in schema.items() if key not in ("required", "discriminator")
    }
    if "oneOf" in schema:
        schema["anyOf"] = schema.pop("oneOf")
    if "properties" in schema:
        schema["properties"] = {k: _optional(v) for k, v in schema["properties"].items()}
    return schema


def _plain(node: Any) -> Any:
    """Without pydantic's titles and defaults: they repeat the key or add nothing."""
    if isinstance(node, list):
        return [_plain(child) for child in node]
    if not isinstance(node, dict):
        return node
    noise = {key for key in ("title", "default") if not isinstance(node.get(key), dict)}
    noise |= {"default"} if node.get("default") == {} else set()
    return {key: _plain(value) for key, value in node.items() if key not in noise}
