"""Derivatives of the whole model: reverse mode, forward mode and finite differences agree."""

import math

import pytest
import torch
from torch.func import functional_call

from torchref_kinetic_plugin.kinetics.sensitivity import jacobian, refined_parameters
from torchref_kinetic_plugin.occupancies import occupancies_kinetics


def rich(**response):
    return occupancies_kinetics(
        "A->B,A->E,B<->C,C->A", [-1.0, 0.1, 0.5, 3.0, 40.0, math.inf],
        rate_constants={"A->B": math.inf, "A->E": math.inf, "B->C": 0.3, "C->B": 0.2, "C->A": 0.05},
        efficiencies={"A->B": 0.3, "A->E": 0.2, "B->C": 0.7}, refine_efficiencies=["A->B", "A->E", "B->C"],
        light_activated=True, activation=0.6, activation_spread=0.3, bounds={"C->B": (0.1, 1.0)}, verbose=0, **response,
    )  # fmt: skip


RESPONSES = [
    {"refine_instrument": ["time_zero"]},
    {"instrument_function": "gaussian", "instrument_width": 0.4, "refine_instrument": ["width", "time_zero"]},
]


@pytest.mark.parametrize("response", RESPONSES, ids=["none", "gaussian"])
def test_gradcheck_of_the_model(response):
    m = rich(**response)
    names = list(refined_parameters(m))
    assert len(names) == 8 + ("instrument_function" in response)
    values = [p.detach().clone().requires_grad_() for p in refined_parameters(m).values()]
    assert torch.autograd.gradcheck(lambda *raw: functional_call(m, dict(zip(names, raw, strict=True)), ()), values)


@pytest.mark.parametrize("response", RESPONSES, ids=["none", "gaussian"])
def test_forward_mode_is_reverse_mode(response):
    m = rich(**response)
    value, forward = jacobian(m)
    parameters = list(refined_parameters(m).values())
    rows = [torch.autograd.grad(o, parameters, retain_graph=True) for o in m().flatten()]
    reverse = torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])
    assert torch.equal(value, m().detach())
    torch.testing.assert_close(forward.flatten(0, 1), reverse, atol=1e-14, rtol=1e-12)


def test_nothing_refined_has_an_empty_jacobian():
    m = occupancies_kinetics("A->B", [1.0], rate_constants={"A->B": 1.0}, refine_rates=[], verbose=0)
    value, slopes = jacobian(m)
    assert slopes.shape == (*value.shape, 0)


def test_a_jacobian_leaves_tied_parameters_as_they_were():
    m = occupancies_kinetics("A->B,B->C", [0.5, 2.0], {"A->B": 2.0}, ties={"B->C": ("A->B", 0.5)}, verbose=0)
    before = m.kinetics.network.rate_parameters()["A->B"].raw
    value, slopes = jacobian(m)
    assert m.kinetics.network.rate_parameters()["B->C"].raw is before
    assert isinstance(before, torch.nn.Parameter)
    step = 1e-6
    with torch.no_grad():
        before.add_(step)
    torch.testing.assert_close(slopes[..., 0], (m() - value) / step, atol=1e-5, rtol=1e-4)
