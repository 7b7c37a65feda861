"""Prints the table of docs/accuracy.md: every case and width against the exact populations."""

from __future__ import annotations

from tests.reference.cases import CASES, WIDTHS, gradient_errors, population_errors


def main() -> None:
    """Print one line a case and width."""
    print("| scheme | sigma / fastest time constant | max error of P | max error of sum P | gradient error / allowed |")
    print("|---|---|---|---|---|")
    for case in CASES:
        for width in WIDTHS:
            errors = population_errors(case, width)
            # Twelve coinciding eigenvalues make the reference itself slow, not the program.
            gradient = f"{max(gradient_errors(case, width).values()):.0e}" if case.equal < 12 else "not run"
            print(
                f"| {case.name} | {width:g} | {errors.population:.0e} | {errors.total:.0e} | {gradient} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
