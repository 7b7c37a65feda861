"""Values for which the dictionary has no item, as ``key=value; key=value`` in its details items."""

from __future__ import annotations

#: With this many digits a number of the result is written.
DIGITS = 10


def details(**values: str | float | None) -> str:
    """Text of some values; those that are None are left out."""
    return "; ".join(f"{key}={_shown(value)}" for key, value in values.items() if value is not None)


def read_details(text: str) -> dict[str, str]:
    """The values of a text that `details` made."""
    return dict(part.split("=", 1) for part in text.strip().split("; "))


def number(value: float) -> str:
    """A number with all its digits; python-ihm itself writes three decimals."""
    return f"{value:.{DIGITS}g}"


def plain_text(text: str) -> str | None:
    """Text of a user in one line, as python-ihm can write it; None where there is none.

    It quotes by Python's rules, not by those of CIF; what the two treat differently goes on lines of its own.
    """
    line = " ".join(text.split())
    if not line:
        return None
    differs = repr(line)[1:-1] != line or line[0] in "#$;[]" or line in {".", "?"}
    return f"{line}\n" if differs else line


def _shown(value: str | float) -> str:
    return value if isinstance(value, str) else number(value)
