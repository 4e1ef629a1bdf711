"""What every section of the configuration is made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"must be a number. Received: {str(value).lower()}.")
    return value


Number = BeforeValidator(_not_bool)  # Python would take true for 1
PositiveInt = Annotated[int, Number, Field(gt=0)]
NonNegativeInt = Annotated[int, Number, Field(ge=0)]
PositiveFloat = Annotated[float, Number, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Number, Field(ge=0, allow_inf_nan=False)]
Probability = Annotated[float, Number, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A frozen part of the configuration that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def as_list(value: Any) -> Any:
    """One thing where a list is expected, as a list of it."""
    return [value] if isinstance(value, (str, dict, Section)) else value
