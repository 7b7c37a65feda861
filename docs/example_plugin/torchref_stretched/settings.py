"""Section ``[stretched]`` of the refinement file; no torch, so that a file is checked in an instant."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

from torchref_kinetic_plugin.scheme import parse_time

Parameter = Literal["tau", "beta", "yield"]


def _positive_time(text: str) -> str:
    if not 0.0 < parse_time(text) < math.inf:
        raise ValueError(f"a relaxation time is finite and above 0, not {text!r}")
    return text


Positive = Annotated[float, Strict(), Field(gt=0.0, allow_inf_nan=False)]


class StretchedSettings(BaseModel):
    """Section ``[stretched]``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tau: Annotated[str, Strict(), AfterValidator(_positive_time)] = Field(
        description='Relaxation time with its unit, e.g. "20 us".'
    )
    beta: Positive = Field(default=1.0, description="Exponent; 1 is one exponential.")
    excited: Annotated[float, Strict(), Field(gt=0.0, lt=1.0)] = Field(
        default=0.5, alias="yield", description="Occupancy of the excited structure just after the trigger."
    )
    refine: list[Parameter] = Field(default=["tau", "beta", "yield"], description="What is refined.")
    shared: list[Parameter] = Field(default=[], description="What is one number for all experiments.")
    prior_factors: dict[Parameter, Annotated[float, Strict(), Field(gt=1.0, allow_inf_nan=False)]] = Field(
        default={},
        description="Factor within which a parameter is expected about its starting value, as one standard deviation "
        "of its logarithm; for the yield, of its odds. No prior on what is not listed.",
    )
