"""The single model: interface, semantics against closed forms, freezing, ties, bounds."""

import logging
import math

import numpy as np
import pytest
import torch

from torchref_kinetic_plugin.occupancies import occupancies_kinetics

INF = math.inf


def model(flow_chart="A->B,B->C", time=(0.0, 1.0, 2.0), **options):
    options.setdefault("verbose", 0)
    return occupancies_kinetics(flow_chart, time, **options)


def test_positional_interface_and_shape():
    m = occupancies_kinetics(
        "A->B,B->C", [0.0, 1.0], {"A->B": 1.0, "B->C": 0.5}, None, "none", 10.0, False, None, None, 0
    )
    assert m().shape == (3, 2)
    assert m().dtype == torch.float64
    torch.testing.assert_close(m()[:, 0], torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))


def test_consecutive_decay_follows_bateman():
    k1, k2 = 1.3, 0.4
    t = np.array([0.2, 1.0, 5.0])
    m = model(time=t, rate_constants={"A->B": k1, "B->C": k2})
    b = k1 / (k2 - k1) * (np.exp(-k1 * t) - np.exp(-k2 * t))
    np.testing.assert_allclose(m().detach()[1], b, rtol=1e-13)


def test_times_keep_their_order_and_repeats():
    m = model(time=[2.0, -1.0, 0.5, 2.0, INF, -INF])
    one = model(time=[0.5], rate_constants=m.get_rate_constants())
    occupancies = m()
    torch.testing.assert_close(occupancies[:, 2], one()[:, 0], rtol=1e-14, atol=0)
    assert torch.equal(occupancies[:, 0], occupancies[:, 3])
    expected = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    assert torch.equal(occupancies[:, [1, 4, 5]], expected)


def test_efficiency_divides_what_leaves_and_the_rest_returns():
    # Light-activated A->B (k, eta): A decays with k, B takes eta of it, A* the rest.
    k, eta, t = 0.8, 0.3, 1.1
    m = model("A->B", [t], rate_constants={"A->B": k}, efficiencies={"A->B": eta}, light_activated=True)
    gone = 1 - math.exp(-k * t)
    torch.testing.assert_close(
        m.populations()[0].detach(), torch.tensor([1 - gone, eta * gone, (1 - eta) * gone], dtype=torch.float64)
    )
    torch.testing.assert_close(m()[0, 0], torch.tensor(1 - eta * gone, dtype=torch.float64))


def test_without_light_activation_a_failed_exit_of_the_initial_state_only_slows_it():
    m = model("A->B", [1.0], rate_constants={"A->B": 2.0}, efficiencies={"A->B": 0.25})
    assert m()[0, 0].item() == pytest.approx(math.exp(-0.5), rel=1e-14)


def test_failures_of_later_steps_return_to_the_ground_state():
    # B empties with k2; eta of it arrives in C at long times, the rest is back in A (inert: A*).
    m = model(
        "A->B,B->C", [INF], rate_constants={"A->B": INF, "B->C": 3.0}, efficiencies={"B->C": 0.4}, light_activated=True
    )
    populations = dict(zip(m.scheme.states, m.populations()[0].tolist(), strict=True))
    assert populations == pytest.approx({"A": 0.0, "B": 0.0, "C": 0.4, "A*": 0.6})


def test_impulse_acts_once_at_time_zero():
    common = {"rate_constants": {"A->B": INF, "B->A": 0.5}, "efficiencies": {"A->B": 0.3}}
    m = model("A->B,B->A", [-1.0, 0.0, 2.0], **common)
    torch.testing.assert_close(m()[1].detach(), torch.tensor([0.0, 0.3, 0.3 * math.exp(-1.0)], dtype=torch.float64))
    light = model("A->B,B->A", [-1.0, 0.0, 2.0], light_activated=True, **common)
    torch.testing.assert_close(light(), m())
    # Light activation leaves no active A behind; without it the missed molecules stay in A.
    assert light.populations()[1].tolist() == pytest.approx([0.0, 0.3, 0.7])
    assert m.populations()[1].tolist() == pytest.approx([0.7, 0.3])


def test_several_impulses_share_the_initial_state():
    m = model(
        "A->B,A->C,A->D", [0.0, 10.0],
        rate_constants={"A->B": INF, "A->C": INF, "A->D": 0.1}, efficiencies={"A->B": 0.2, "A->C": 0.5},
    )  # fmt: skip
    assert m.populations()[0].tolist() == pytest.approx([0.3, 0.2, 0.5, 0.0])
    assert m.populations()[1, 3].item() == pytest.approx(0.3 * (1 - math.exp(-1.0)), rel=1e-13)


def test_initial_populations_and_references_are_the_state_before():
    m = model("A<->B", [-1.0, INF], rate_constants={"A->B": 1.0, "B->A": 3.0}, initial_populations={"A": 0.6, "B": 0.4})
    assert m.populations()[0].tolist() == pytest.approx([0.6, 0.4])
    assert m.populations()[1].tolist() == pytest.approx([0.75, 0.25])


def test_activation_leaves_the_rest_as_it_was():
    full = model(time=[0.5, 3.0], rate_constants={"A->B": 1.0, "B->C": 0.5})
    part = model(time=[0.5, 3.0], rate_constants={"A->B": 1.0, "B->C": 0.5}, activation=0.25)
    expected = 0.25 * full() + 0.75 * torch.tensor([[1.0], [0.0], [0.0]], dtype=torch.float64)
    torch.testing.assert_close(part(), expected)


def test_activation_may_vary_between_timepoints_about_a_common_value():
    m = model(time=[0.5, 0.5, 3.0], activation=0.5, activation_spread=0.2, refine_activation=True)
    with torch.no_grad():
        m.kinetics.activation.deviations.copy_(torch.tensor([1.0, -1.0, 0.0]))
    activated = 1.0 - m()[0].detach() / 1.0
    ratio = (activated[0] / activated[1]).item()
    assert ratio == pytest.approx(
        torch.sigmoid(torch.tensor(0.2)).item() / torch.sigmoid(torch.tensor(-0.2)).item(), rel=1e-6
    )
    assert m.get_regularization_loss().item() == pytest.approx(1.0)
    # Unmeasured times have the common activation.
    torch.testing.assert_close(m.occupancies_at([3.0])[:, 0], m()[:, 2])


def test_time_zero_shifts_the_axis():
    shifted = model(time=[1.5, 0.2], time_zero=0.5, rate_constants={"A->B": 1.0, "B->C": 0.5})
    straight = model(time=[1.0, -0.3], rate_constants={"A->B": 1.0, "B->C": 0.5})
    torch.testing.assert_close(shifted(), straight())


def test_text_with_units():
    m = model("A->B", ["100 ns", "1 us"], rate_constants={"A->B": "1/(500 ns)"}, time_unit="us")
    assert m.time.tolist() == pytest.approx([0.1, 1.0])
    assert m.get_rate_constants() == pytest.approx({"A->B": 2.0})
    assert m.get_time_constants() == pytest.approx({"A->B": 0.5})


def test_states_may_share_a_structure():
    m = model("A->B,B->C,C->A", [1.0], state_mapping={"A": 1, "B": 0, "C": 0}, light_activated=True)
    a, b, c, inactive = m.populations()[0].tolist()
    assert m()[:, 0].tolist() == pytest.approx([b + c, a + inactive])
    assert m.nstates == 2
    assert m.structure_labels == ("structure 0 (B, C)", "structure 1 (A)")
    apart = model("A->B", [1.0], state_mapping={"A": 0, "B": 1, "A*": 2}, light_activated=True)
    assert apart().shape == (3, 1)


def test_starting_rates_lie_inside_the_window_in_the_order_of_the_scheme():
    m = model("A->B,B->C,C->D", np.logspace(-9, -2, 15))
    constants = list(m.get_time_constants().values())
    assert constants == sorted(constants)
    assert 1e-9 < constants[0] < constants[-1] < 1e-2
    assert constants[1] / constants[0] > 10.0
    occupancies = m().detach().numpy()
    for first in range(4):
        for second in range(first):
            assert np.abs(occupancies[first] - occupancies[second]).max() > 0.5


def test_starting_rates_of_parallel_exits_differ():
    rates = model("A->B,A->C", np.linspace(0.1, 10, 5)).get_rate_constants()
    assert 1.2 < rates["A->B"] / rates["A->C"] < 5.0


def test_a_rate_left_out_starts_where_the_times_can_see_it():
    rates = model("A->B,B->C", [1.0, 10.0, 100.0], rate_constants={"A->B": 7.0}).get_rate_constants()
    assert rates["A->B"] == pytest.approx(7.0)
    assert 0.01 < rates["B->C"] < 1.0


def test_prediction_at_the_measured_times_is_the_forward():
    m = model(time=[-1.0, 0.3, 4.0, INF], instrument_function="gaussian", instrument_width=0.5)
    assert torch.equal(m.occupancies_at([-1.0, 0.3, 4.0, INF]), m())
    assert m.populations_at([0.1, 0.2]).shape == (2, 3)


def test_parameter_groups_are_named_have_their_own_rate_and_cover_every_parameter():
    m = model(
        time=[0.1, 1.0], instrument_function="gaussian", instrument_width=0.5, activation=0.5, activation_spread=0.1
    )
    groups = m.get_parameter_groups(0.01)
    assert {group["name"]: group["lr"] for group in groups} == pytest.approx(
        {"rate_constants": 0.01, "efficiencies": 0.01, "instrument": 0.001, "activation": 0.01}
    )
    listed = [p for group in groups for p in group["params"]]
    assert len(listed) == len({id(p) for p in listed})
    assert {id(p) for p in listed} == {id(p) for p in m.parameters()}
    torch.optim.Adam(groups)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_freezing_is_true_per_transition(optimizer):
    m = model("A->B,B->C,C->D", np.linspace(0.5, 5.0, 6))
    steps = optimizer(m.get_parameter_groups(0.05))

    def step():
        steps.zero_grad()
        (m()[2] ** 2).sum().backward()
        steps.step()

    step()  # momentum that a frozen rate must not follow
    before = m.get_rate_constants()
    m.freeze_rates(["B->C"])
    step()
    after = m.get_rate_constants()
    assert after["B->C"] == before["B->C"]
    assert after["A->B"] != before["A->B"]
    assert after["C->D"] != before["C->D"]
    m.unfreeze_rates(["B->C"])
    step()
    assert m.get_rate_constants()["B->C"] != before["B->C"]
    m.freeze_rates()
    assert not any(p.requires_grad for p in m.parameters())


def test_efficiencies_freeze_and_keep_their_values():
    m = model(
        "A->B,A->C,B->D", [0.5, 1.0], rate_constants={"A->B": INF, "A->C": INF, "B->D": 1.0},
        efficiencies={"A->B": 0.2, "A->C": 0.3, "B->D": 0.6}, light_activated=True, refine_efficiencies=["A->B", "A->C"],
    )  # fmt: skip
    given = {"A->B": 0.2, "A->C": 0.3, "B->D": 0.6}
    assert m.get_efficiencies() == pytest.approx(given, rel=1e-14)
    m.freeze_efficiencies(["A->B"])
    assert m.get_efficiencies() == pytest.approx(given, rel=1e-14)
    m.unfreeze_efficiencies()
    assert m.get_efficiencies() == pytest.approx(given, rel=1e-14)
    m.set_efficiency("A->C", 0.7)
    assert m.get_efficiencies() == pytest.approx(given | {"A->C": 0.7}, rel=1e-14)
    m.freeze_efficiencies()
    assert all("rates" in name for name, p in m.named_parameters() if p.requires_grad)


def test_impulse_efficiencies_never_sum_to_more_than_one():
    m = model("A->B,A->C", [0.0], rate_constants={"A->B": INF, "A->C": INF}, refine_efficiencies=["A->B", "A->C"])
    assert m.get_efficiencies() == pytest.approx({"A->B": 1 / 3, "A->C": 1 / 3})
    optimizer = torch.optim.Adam(m.get_parameter_groups(1.0))
    for _ in range(50):
        optimizer.zero_grad()
        (-m()[1:].sum()).backward()
        optimizer.step()
    assert 0.999 < sum(m.get_efficiencies().values()) <= 1.0


def test_instrument_and_activation_freeze():
    m = model(time=[0.1, 1.0], instrument_function="gaussian", instrument_width=0.5, activation=0.4)
    refined = {name: not p.frozen for name, p in m.kinetics.instrument_parameters().items()}
    assert refined == {"width": True, "time_zero": False}
    m.freeze_instrument()
    m.unfreeze_instrument(["time_zero"])
    refined = {name: not p.frozen for name, p in m.kinetics.instrument_parameters().items()}
    assert refined == {"width": False, "time_zero": True}
    m.unfreeze_activation()
    (m()[1].sum()).backward()
    assert m.kinetics.activation.common.raw.grad is not None
    m.freeze_activation()
    assert m.kinetics.activation.common.frozen


def test_ties_move_together_by_their_factor():
    m = model("A->B,B->C,C->D", [1.0, 2.0], rate_constants={"A->B": 2.0}, ties={"B->C": ("A->B", 0.5), "C->D": "A->B"})
    assert m.get_rate_constants() == pytest.approx({"A->B": 2.0, "B->C": 1.0, "C->D": 2.0})
    assert sum(p.requires_grad for p in m.parameters()) == 1
    m.set_rate_constant("B->C", 3.0)
    assert m.get_rate_constants() == pytest.approx({"A->B": 6.0, "B->C": 3.0, "C->D": 6.0})


def test_bounds_hold_under_any_step():
    m = model("A->B", [1.0], rate_constants={"A->B": 2.0}, bounds={"A->B": (1.0, 3.0)})
    optimizer = torch.optim.SGD(m.get_parameter_groups(1e3))
    for _ in range(20):
        optimizer.zero_grad()
        m()[0].sum().backward()
        optimizer.step()
    assert 2.9 < m.get_rate_constants()["A->B"] <= 3.0 * (1 + 1e-15)


def test_dtype_and_device_moves_keep_double_precision():
    m = model(time=[0.1, 1.0])
    m.to(torch.float32)
    m.half()
    assert m().dtype == torch.float64
    assert all(p.dtype == torch.float64 for p in m.parameters())


def test_remarks_say_what_the_times_cannot_determine(caplog):
    options = {"instrument_function": "gaussian", "instrument_width": 0.1, "refine_instrument": ["width", "time_zero"]}
    with caplog.at_level(logging.WARNING):
        m = model("A->B", [5.0, 50.0], rate_constants={"A->B": 100.0}, verbose=1, **options)
    text = caplog.text
    assert "instrument_width is refined, but no delay lies within three widths" in text
    assert "time_zero is refined, but no delay lies near the trigger" in text
    assert (
        "the rate constant of A->B is refined, but its time constant 0.01 is shorter than the instrument width 0.1"
        in text
    )
    assert len(m.remarks()) == 3
    assert model("A->B", [0.0, 1.0], rate_constants={"A->B": 1.0}, **options).remarks() == []


def test_remark_on_more_numbers_than_destinations():
    m = model(
        "A->B,B->C,B->A",
        [0.1, 1.0, 9.0],
        efficiencies={"B->C": 0.5},
        refine_efficiencies=["B->C"],
        light_activated=True,
    )
    assert (
        "the exits of B have 2 rate constants and 1 efficiencies (B->C) refined, but only 2 destinations"
        in m.remarks()[0]
    )
    m.freeze_rates(["B->A"])
    assert m.remarks() == []


def test_print_parameters_shows_every_number(capsys):
    m = model("A->B,B->C", ["1 us", "2 us"], rate_constants={"A->B": INF, "B->C": 0.25}, efficiencies={"A->B": 0.3},
              instrument_function="gaussian", instrument_width=0.75, light_activated=True, time_unit="us")  # fmt: skip
    m.print_parameters()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["A->B", "inf", "0", "0.3*"] in lines
    assert ["B->C", "0.25", "4", "1*"] in lines
    assert ["instrument", "width", "(sigma)", "0.75", "us"] in lines
    assert lines[0][2:] == ["A->B,B->C", "(light-activated)"]
