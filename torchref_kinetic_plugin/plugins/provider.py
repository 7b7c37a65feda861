"""What a plugin offers: an occupancy provider, and what it is given to build from; no torch until it builds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from pydantic import BaseModel

from torchref_kinetic_plugin.errors import InputError, TimeError
from torchref_kinetic_plugin.scheme import seconds_per

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Sections of the refinement file that are not a provider's.
RESERVED_NAMES = frozenset(
    {"title", "schemes", "refinement", "structures", "experiment", "weights", "validation", "output"}
)
_NAME = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True)
class ExperimentSchedule:
    """When an experiment was measured, all that a provider learns of it.

    Attributes
    ----------
    name : str
        Name of the experiment.
    times : tuple of float
        Delays of its timepoints in seconds, in the order of the refinement file; any order, repeats, negative and
        infinite delays allowed. References are not among them.
    time_unit : str
        The unit in which the user counts.
    temperature : float or None
        In K.
    temperature_before : float or None
        In K, before a temperature jump.
    concentration : float or None
        Of a ligand, mol/L.
    pump_energy : float or None
        Of a pump pulse, J.

    Raises
    ------
    TimeError
        Without a timepoint, or for one that is not a number.
    UnitError
        For a unit that is not one of time.
    """

    name: str
    times: tuple[float, ...]
    time_unit: str = "s"
    temperature: float | None = None
    temperature_before: float | None = None
    concentration: float | None = None
    pump_energy: float | None = None

    def __post_init__(self) -> None:
        seconds_per(self.time_unit)
        if not self.times:
            raise TimeError(f"experiment {self.name!r} has no timepoint")
        if any(math.isnan(time) for time in self.times):
            raise TimeError(f"experiment {self.name!r} has a timepoint whose delay is not a number")

    def times_in(self, unit: str) -> list[float]:
        """Delays in a unit of time."""
        return [time / seconds_per(unit) for time in self.times]


class OccupancyModule(Protocol):
    """What a module of a provider must answer, besides being an ``nn.Module``.

    Parameters shared by several experiments are the same ``nn.Parameter`` in each of their modules. A prior on a
    shared parameter is part of the regularization of one module only: the objective adds all modules.
    """

    def forward(self) -> Tensor:
        """Occupancies (n_structures, n_timepoints): floating point, each in [0, 1], columns summing to 1."""

    def get_regularization_loss(self) -> Tensor:
        """Minus the logarithm of the priors, a scalar; zero without any."""

    def get_parameter_groups(self, base_lr: float) -> list[dict[str, Any]]:
        """Optimizer groups with ``params``, ``lr`` and ``name``; together every refined parameter once."""


@runtime_checkable
class KnowsReference(Protocol):
    """What a module may answer besides: which occupancies references have; else they are all the first structure."""

    def reference_occupancies(self) -> Tensor:
        """Occupancies (n_structures,) before the trigger; in [0, 1], summing to 1."""


class Factory(Protocol):
    """Builds the modules of a provider; it is called with positional arguments."""

    def __call__(
        self,
        settings: Any,
        experiments: Sequence[ExperimentSchedule],
        structure_names: Sequence[str],
        seed: int,
        /,
    ) -> list[nn.Module]:
        """Build one module for each experiment, in their order.

        Parameters
        ----------
        settings : BaseModel or None
            An instance of the provider's settings model.
        experiments : sequence of ExperimentSchedule
            All experiments of the run: one call sees them all, so that modules can share parameters.
        structure_names : sequence of str
            Names of the structures, in the order of the rows of the occupancies.
        seed : int
            For whatever is drawn at random: the same seed gives the same modules.

        Raises
        ------
        InputError
            For settings that the user has to mend; other errors are reported as the plugin's.
        """


@dataclass(frozen=True)
class OccupancyProvider:
    """A source of occupancies, under the name that ``occupancy = ...`` gives in the refinement file.

    Attributes
    ----------
    name : str
        Small letters, digits, ``_`` and ``-``; also the section of the refinement file with its settings.
    settings : type of BaseModel or None
        Model of that section; it must refuse unknown keys (``extra="forbid"``). None: there is no section.
    factory : Factory
        Builds a module for each experiment.
    description : str
        One line for ``torchref.kinetic plugins``.

    Raises
    ------
    InputError
        For a name that cannot be a section, settings of another kind, or settings that would ignore unknown keys.
    """

    name: str
    settings: type[BaseModel] | None
    factory: Factory
    description: str

    def __post_init__(self) -> None:
        # The author of a plugin may not check types; this is the boundary.
        name, settings = cast(object, self.name), cast(object, self.settings)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InputError(
                f"provider name {self.name!r}: it must start with a small letter and go on with small letters, "
                "digits, '_' or '-'"
            )
        if self.name in RESERVED_NAMES:
            raise InputError(f"provider name {self.name!r} is another section of the refinement file; choose another")
        if settings is not None:
            if not (isinstance(settings, type) and issubclass(settings, BaseModel)):
                raise InputError(f"settings of provider {self.name!r} are a pydantic model, not {settings!r}")
            if settings.model_config.get("extra") != "forbid":
                raise InputError(
                    f"settings of provider {self.name!r} would ignore a misspelt key; give {settings.__name__} "
                    "model_config = ConfigDict(extra='forbid')"
                )
        if not callable(self.factory):
            raise InputError(f"factory of provider {self.name!r} cannot be called: {self.factory!r}")

    def read_settings(self, section: Mapping[str, Any] | None) -> BaseModel | None:
        """Read the provider's section of the refinement file.

        Parameters
        ----------
        section : mapping or None
            The section, or None where the file has none.

        Returns
        -------
        BaseModel or None
            None for a provider without settings.

        Raises
        ------
        pydantic.ValidationError
            With every problem of the section.
        InputError
            For a section of a provider that takes no settings.
        """
        if self.settings is not None:
            return self.settings.model_validate(dict(section or {}))
        if section:
            raise InputError(f"occupancy {self.name!r} takes no settings, but [{self.name}] has {', '.join(section)}")
        return None
