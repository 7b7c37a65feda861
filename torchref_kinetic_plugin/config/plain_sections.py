"""Sections of a refinement file that hold nothing but factors and switches."""

from __future__ import annotations

from pathlib import Path
from typing import final

from pydantic import Field

from torchref_kinetic_plugin.config.section import Section
from torchref_kinetic_plugin.config.values import Directory, Flag, Positive


@final
class WeightsSection(Section):
    """Section ``[weights]``: factors of the terms that concern coordinates."""

    data: Positive = Field(default=1.0, description="Of the data.")
    geometry: Positive = Field(default=1.0, description="Of the geometry.")
    adp: Positive = Field(default=1.0, description="Of displacement parameters.")
    similarity: Positive = Field(default=1.0, description="Of the similarity of structures.")
    siblings: Positive = Field(default=1.0, description="Of the similarity of one structure in several crystal forms.")
    occupancy: Positive = Field(default=1.0, description="Of the provider's regularization.")


@final
class OutputSection(Section):
    """Section ``[output]``."""

    directory: Directory = Field(default=Path("refined"), description="Where everything is written.")
    maps: Flag = Field(default=True, description="Whether map coefficients are written.")
    plots: Flag = Field(default=True, description="Whether plots are drawn.")
    report: Flag = Field(default=True, description="Whether a report is written, as one HTML file.")
    deposition: Flag = Field(default=True, description="Whether the deposition file is written.")


@final
class ValidationSection(Section):
    """Section ``[validation]``: what is done after the fit, in seconds, to say what it is worth."""

    leave_out: Flag = Field(default=True, description="Whether each timepoint is predicted by all others.")
    free_occupancies: Flag = Field(
        default=True, description="Whether occupancies are found without the scheme too, and the scheme tested by them."
    )
    null_test: Flag = Field(default=True, description="Whether references are given as timepoints.")
