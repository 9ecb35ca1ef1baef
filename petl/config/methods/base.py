"""What petl asks about a method. Each answer has a default; a method overrides what differs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, cast, get_args

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError, core_schema
from typing_extensions import Self

from petl.config.base import Settings

FAMILIES: dict[str, type[Method]] = {}
"""Every method's settings by its `family`; a class registers itself when it is defined."""


class Method(Settings):
    """The settings of a method.

    A subclass whose `family` is a literal is one method. Any other class, this one included,
    stands for all its subclasses: `family` decides which of them is read.

    A setting that is added later needs a default that means what was done before. A run id leaves
    out defaults, so the ids of older runs stay the same.
    """

    family: str

    why_not_merged: ClassVar[str] = ""
    """Why what it adds cannot be folded into the backbone's weights; empty if it can."""

    @classmethod
    def module(cls) -> str:
        """Where its `apply(encoder, method)` is: petl.methods.ia3 for petl.config.methods.ia3, and
        for settings outside of petl.config the file that they are in."""
        return cls.__module__.replace("petl.config.", "petl.")

    @property
    def parts(self) -> tuple[Method, ...]:
        """The methods of a combination, or this one."""
        return (self,)

    @property
    def trains_final_norm(self) -> bool:
        """Does the encoder's last LayerNorm train with it?"""
        return True

    @property
    def prompt_length(self) -> int:
        """How many prompts are among the tokens that leave the encoder."""
        return 0

    @property
    def has_batch_norm(self) -> bool:
        """Does it use a BatchNorm, so that results depend on how a batch is split?"""
        return False

    # --- how pydantic finds the class by the family -----------------------------------------------

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        for family in cls._family():
            if FAMILIES.setdefault(family, cls) is not cls:
                raise TypeError(f"there are two methods of the family '{family}'")

    @classmethod
    def _family(cls) -> tuple[str, ...]:
        """Its literal family; empty for a class that stands for its subclasses."""
        return get_args(cls.model_fields["family"].annotation)

    @classmethod
    def members(cls) -> dict[str, type[Self]]:
        """The methods that this class stands for, by family."""
        return {name: one for name, one in FAMILIES.items() if issubclass(one, cls)}

    @classmethod
    def _of_its_family(cls, value: Any) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, dict):
            raise PydanticKnownError("dict_type")
        members, tag = cls.members(), {"discriminator": "'family'"}
        if "family" not in value:
            raise PydanticKnownError("union_tag_not_found", tag)
        if (family := str(value["family"])) not in members:
            tag |= {"tag": family, "expected_tags": ", ".join(f"'{name}'" for name in members)}
            raise PydanticKnownError("union_tag_invalid", tag)
        return members[family].model_validate(value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if cls._family():
            return handler(source)
        # serialized as `any`, so that all fields of the subclass are written, not only this class's
        written = core_schema.simple_ser_schema("any")
        return core_schema.no_info_plain_validator_function(
            cls._of_its_family, serialization=written
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        if cls._family():
            return handler(schema)
        members = {name: one.__pydantic_core_schema__ for name, one in cls.members().items()}
        return handler(core_schema.tagged_union_schema(cast(Any, members), "family"))


class Combinable(Method):
    """A method that can stand in a combination."""

    order: ClassVar[int] = 500
    """In a combination: first what changes weights (100 to 500), so that it still merges, then
    what adds modules (600), last what changes the number of tokens (900)."""

    only_once: ClassVar[bool] = True

    def conflict(self, others: Sequence[str]) -> str:
        """Why it cannot be combined with methods of these families; empty if it can."""
        return ""


# --- settings that several methods share ----------------------------------------------------------


MOST_DIGITS = 4
"""Of a layer's number: a range becomes a list, and a longer one would fill the memory."""


def _expanded(value: Any) -> Any:
    """[8-10, 3] is (3, 8, 9, 10): the same layers have the same run id however they are written."""
    if not isinstance(value, list | tuple):
        return value
    if not value:
        raise ValueError("'layers' is an empty list; leave 'layers' out to choose all of them")
    indices: list[Any] = []
    for item in value:
        span = re.fullmatch(r"([0-9]+)-([0-9]+)", item) if isinstance(item, str) else None
        if span is None:
            indices.append(item)
        elif max(map(len, span.groups())) > MOST_DIGITS:
            raise ValueError(f"the range '{item:.40}' in 'layers': no model has so many layers")
        elif int(span[1]) > int(span[2]):
            raise ValueError(f"the range '{item}' in 'layers' must be '{span[2]}-{span[1]}'")
        else:
            indices += range(int(span[1]), int(span[2]) + 1)
    whole = all(type(item) is int for item in indices)
    return tuple(sorted(set(indices))) if whole else tuple(indices)


def distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise ValueError(f"a value appears twice: {', '.join(values)}")
    return values


Index = Annotated[int, Field(ge=0)]
LayerChoice = Annotated[
    Literal["all"] | tuple[Index, ...],
    BeforeValidator(
        _expanded,
        json_schema_input_type=Literal["all"]
        | list[Index | Annotated[str, Field(pattern=r"^\d+-\d+$")]],
    ),
]
"""`all`, or a list of indices and ranges, counted from 0: [0, 8-11]."""


class Added(Combinable):
    """A method that adds modules to layers."""

    layers: LayerChoice = "all"
