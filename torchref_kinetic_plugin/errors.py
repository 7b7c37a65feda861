"""Every error a user can meet.

All derive from `KineticsError`. Those a user can mend by changing the input derive from `InputError`, which
is also a `ValueError`; the command line turns them into one message and exit code 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class KineticsError(Exception):
    """Base of all errors this package raises on purpose."""


class InputError(KineticsError, ValueError):
    """The input is wrong; the message says what, what is allowed, and the closest match."""


class FlowChartError(InputError):
    """A flow chart cannot be read as a kinetic scheme."""


class UnitError(InputError):
    """A time or rate has no unit, an unknown one, or one of the wrong kind."""


class ParameterError(InputError):
    """A kinetic parameter has an impossible value, or may not be refined."""


class UnknownNameError(InputError):
    """A transition, state, option or key that does not exist.

    Parameters
    ----------
    what : str
        What kind of name it is, e.g. ``"transition"``.
    name : object
        What was given.
    allowed : iterable of str
        What exists.
    where : str, optional
        Where it was given, e.g. ``"rate_constants"``.
    """

    def __init__(self, what: str, name: object, allowed: Iterable[str], where: str = "") -> None:
        allowed = list(allowed)
        place = f" in {where}" if where else ""
        super().__init__(f"unknown {what} {name!r}{place}{closest_match(name, allowed)}; {listing(allowed)}")


class TimeError(InputError):
    """Timepoints that are missing, not numbers, or unusable for what is asked of them."""


class MappingError(InputError):
    """A state mapping that misses a state, names an unknown one, or leaves a gap."""


class ShapeError(InputError):
    """An array of the wrong shape."""


class CrystalError(InputError):
    """A structure or dataset that cannot be put in the data's crystal."""


class ScalingError(InputError):
    """Scales that the data do not determine, or that do not describe them."""


class DriftError(InputError):
    """A structure that the refinement has taken apart."""


class StateError(InputError):
    """A saved state that cannot be loaded: another version, another model, or incomplete."""


class FileError(InputError):
    """A file that is missing, unreadable or cannot be written."""


class NotWrittenError(FileError):
    """A file or directory that cannot be written, as on a full disk; the input is not at fault."""


class LockedError(FileError):
    """A directory in use by another run."""


def closest_match(name: object, allowed: Iterable[str]) -> str:
    """Say which allowed name is closest, as ``" (did you mean 'x'?)"``, or nothing."""
    folded = {candidate.casefold(): candidate for candidate in allowed}
    matches = difflib.get_close_matches(str(name).casefold(), folded, n=1, cutoff=0.5)
    return f" (did you mean {folded[matches[0]]!r}?)" if matches else ""


def listing(allowed: Iterable[str]) -> str:
    """Say what is allowed, as ``"allowed: a, b"``."""
    names = ", ".join(allowed)
    return f"allowed: {names}" if names else "none is allowed here"
