"""Occupancies with gradients: this package beside ``torchref.experimental.kinetic``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torchref.experimental.kinetic import occupancies_kinetics as framework_model

from benchmarks.timing import in_turn
from torchref_kinetic_plugin import occupancies_kinetics

#: Largest ratios allowed without a response and with the Gaussian one.
LIMITS = {"none": 1.0, "gaussian": 3.0}


def rows() -> Iterator[str]:
    """One line of the table for each number of states, of timepoints, and response.

    A chain with rates falling by a factor of four per step and delays over four decades; with the Gaussian
    response both models refine its width. The framework's quadrature over the measured times is not the
    convolution; it is timed all the same.
    """
    for n_states in (4, 8):
        names = "ABCDEFGH"[:n_states]
        transitions = [f"{a}->{b}" for a, b in pairwise(names)]
        rates = {name: 10.0 * 4.0**-number for number, name in enumerate(transitions)}
        for n_times in (10, 100, 1000):
            times = torch.logspace(-1, 3, n_times)
            for response, limit in LIMITS.items():
                options = {
                    "rate_constants": rates,
                    "instrument_function": response,
                    "instrument_width": 0.5,
                    "verbose": 0,
                }
                ours = occupancies_kinetics(",".join(transitions), times, **options)
                theirs = framework_model(",".join(transitions), times, activation_level=1.0, **options)
                pair = in_turn(lambda m=ours: _step(m), lambda m=theirs: _step(m))
                yield (
                    f"| {n_states} | {n_times} | {response} | {1e3 * pair.ours:.2f} | {1e3 * pair.theirs:.2f} "
                    f"| {pair.ratio:.2f} | {limit:.1f} |"
                )


def _step(model: torch.nn.Module) -> None:
    model.zero_grad()
    (model() ** 2).sum().backward()
