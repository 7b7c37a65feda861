"""Atheris on the flow-chart parser and the loader of refinement files: inputs that grow where they reach new code.

``python -m tests.fuzz.guided charts 300000`` or ``files``: so many inputs. The first that is answered by anything but
a value or a named error ends the run, with its traceback, and is left in ``build/fuzz``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["torchref_kinetic_plugin.scheme", "torchref_kinetic_plugin.config"]):
    from tests.fuzz.checks import RefinementFiles, check_amount, check_chart
from tests.unit.campaign.tiny_series import REFINEMENT

#: Where the growing starts.
_CHARTS = ("A->B,B->A", "A => B, B -> C, C -> A", "A<->B", "100 ns", "1/(2 us)", "1.5e6 M^-1 s^-1", "50 mJ/mm^2")
#: What it puts together.
_WORDS = (
    "->",
    "<->",
    "=>",
    ",",
    "A",
    "B",
    " ",
    "1/(",
    ")",
    "e400",
    "-",
    "ns",
    "us",
    "inf",
    "nan",
    "M",
    "s^-1",
    "kJ/mol",
)


def texts(_: Path) -> Callable[[bytes], None]:
    """A flow chart and an amount of any text."""

    def one(content: bytes) -> None:
        text = content.decode(errors="replace")
        check_chart(text, light_activated=len(text) % 2 == 1)
        check_amount(text)

    return one


def files(directory: Path) -> Callable[[bytes], None]:
    """A refinement file of any bytes."""
    return RefinementFiles(directory).check


def main() -> None:
    """Run so many inputs; those that reach what no other did are kept for the next run."""
    what, runs = sys.argv[1:]
    place = Path("build", "fuzz", what)
    corpus, named, words = (place / name for name in ("corpus", "named", "words"))
    corpus.mkdir(parents=True, exist_ok=True)
    named.mkdir(exist_ok=True)
    for number, seed in enumerate(_CHARTS if what == "charts" else (REFINEMENT,)):
        (corpus / str(number)).write_text(seed)
    known = _WORDS if what == "charts" else (*_WORDS, *REFINEMENT.split())
    quoted = (each.replace("\\", "\\\\").replace('"', '\\"') for each in dict.fromkeys(known))
    words.write_text("".join(f'"{each}"\n' for each in quoted))
    options = [f"-runs={runs}", f"-dict={words}", "-seed=1", "-max_len=4096", f"-artifact_prefix={place}/"]
    # It does not return.
    atheris.Setup([sys.argv[0], *options, str(corpus)], (texts if what == "charts" else files)(named))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
