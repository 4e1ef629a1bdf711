"""Base class and field types of the sections of the configuration."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"must be a number. Received: {str(value).lower()}.")
    return value


_MAX_INT = 2**63 - 1  # larger integers fit neither tensors nor floats

Number = BeforeValidator(_not_bool)  # in Python, True is an int
PositiveInt = Annotated[int, Number, Field(gt=0, le=_MAX_INT)]
NonNegativeInt = Annotated[int, Number, Field(ge=0, le=_MAX_INT)]
# The discriminator makes an invalid value one problem instead of one per alternative.
AUTO_OR_NUMBER = ("[auto]", "[number]")  # tags, which pydantic adds to the location of a problem
AutoOrPositiveInt = Annotated[
    Annotated[Literal["auto"], Tag(AUTO_OR_NUMBER[0])] | Annotated[PositiveInt, Tag(AUTO_OR_NUMBER[1])],
    Discriminator(lambda value: AUTO_OR_NUMBER[value != "auto"]),
]
Layers = Annotated[int, Number, Field(gt=0, le=1024)]
Width = Annotated[int, Number, Field(gt=0, le=2**20)]
PositiveFloat = Annotated[float, Number, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Number, Field(ge=0, allow_inf_nan=False)]
# A number or a list of numbers. The discriminator makes an invalid value one problem instead of one per alternative.
ONE_OR_SEVERAL = ("[one]", "[several]")  # tags, which pydantic adds to the location of a problem
OneOrSeveral = Annotated[
    Annotated[PositiveInt, Tag(ONE_OR_SEVERAL[0])] | Annotated[tuple[PositiveInt, ...], Tag(ONE_OR_SEVERAL[1])],
    Discriminator(lambda value: ONE_OR_SEVERAL[isinstance(value, (list, tuple))]),
]
Probability = Annotated[float, Number, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A frozen section of the configuration. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def describe_fields(section: type[Section]) -> dict[str, str]:
    """Return the description of each field, as the `Attributes:` of the section's docstring give it."""
    _, _, attributes = (section.__doc__ or "").partition("Attributes:")
    found = re.findall(r"^ +(\w+): (.*(?:\n {9,}\S.*)*)", attributes, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def as_list(value: Any) -> Any:
    """Return a list of one value where a list is expected; a list and None as they are."""
    return value if value is None or isinstance(value, (list, tuple, set)) else [value]
