"""What all tables of refinement and simulation files have in common."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def repeated(names: Sequence[str]) -> list[str]:
    """Names that are there more than once, sorted."""
    return sorted({name for name in names if names.count(name) > 1})
