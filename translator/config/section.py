"""What every section of the configuration is made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"must be a number. Received: {str(value).lower()}.")
    return value


Number = BeforeValidator(_not_bool)  # Python would take true for 1
PositiveInt = Annotated[int, Number, Field(gt=0)]
NonNegativeInt = Annotated[int, Number, Field(ge=0)]
PositiveFloat = Annotated[float, Number, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Number, Field(ge=0, allow_inf_nan=False)]
# A number, or a list of them. Told apart by what was given, a mistake is one problem, not one for each possibility.
ONE_OR_SEVERAL = ("[one]", "[several]")  # stand in the path that pydantic gives of a problem
OneOrSeveral = Annotated[
    Annotated[PositiveInt, Tag(ONE_OR_SEVERAL[0])] | Annotated[tuple[PositiveInt, ...], Tag(ONE_OR_SEVERAL[1])],
    Discriminator(lambda value: ONE_OR_SEVERAL[isinstance(value, (list, tuple))]),
]
Probability = Annotated[float, Number, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A frozen part of the configuration that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def as_list(value: Any) -> Any:
    """One thing where a list is expected, as a list of it."""
    return [value] if isinstance(value, (str, dict, Section)) else value
