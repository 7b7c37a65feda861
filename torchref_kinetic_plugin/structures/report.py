"""What was found in the model files: findings, and the report that holds them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import final

from torchref_kinetic_plugin.errors import InputError


@final
class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@final
@dataclass(frozen=True)
class Finding:
    """One thing worth knowing about the structures.

    Attributes
    ----------
    severity : Severity
        An error stops the loading; a warning may spoil the result; a note is for the record.
    structure : str
        Name of the structure or file it is about; empty when about all.
    text : str
        One sentence, without the structure's name.
    """

    severity: Severity
    structure: str
    text: str

    def __str__(self) -> str:
        return f"{self.structure}: {self.text}" if self.structure else self.text


@final
@dataclass(frozen=True)
class StructureReport:
    """Findings in the order in which they were made."""

    findings: tuple[Finding, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What stops the loading."""
        return self._of(Severity.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What may spoil the result."""
        return self._of(Severity.WARNING)

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What is for the record."""
        return self._of(Severity.NOTE)

    def about(self, structure: str) -> tuple[Finding, ...]:
        """Findings on one structure."""
        return tuple(finding for finding in self.findings if finding.structure == structure)

    def lines(self) -> list[str]:
        """One line a finding, its severity first."""
        return [f"{finding.severity}: {finding}" for finding in self.findings]

    def _of(self, severity: Severity) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity is severity)


def error(structure: str, text: str) -> Finding:
    """A finding that stops the loading."""
    return Finding(Severity.ERROR, structure, text)


def warning(structure: str, text: str) -> Finding:
    """A finding that may spoil the result."""
    return Finding(Severity.WARNING, structure, text)


def note(structure: str, text: str) -> Finding:
    """A finding for the record."""
    return Finding(Severity.NOTE, structure, text)


def raise_errors(findings: Iterable[Finding], kind: type[InputError] = InputError) -> None:
    """Raise all errors among the findings as one; do nothing when there are none.

    Raises
    ------
    InputError
        Or the kind of it that is given; one line an error.
    """
    wrong = [finding for finding in findings if finding.severity is Severity.ERROR]
    if wrong:
        raise kind("\n".join(str(finding) for finding in wrong))


def some_of(items: Sequence[object], limit: int = 8) -> str:
    """List the first items and say how many more there are, as ``"a, b and 3 more"``."""
    shown = ", ".join(str(item) for item in items[:limit])
    return f"{shown} and {len(items) - limit} more" if len(items) > limit else shown


def counted(number: int, noun: str) -> str:
    """Number and noun that agree, as ``"1 atom"``, ``"2 atoms"``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
