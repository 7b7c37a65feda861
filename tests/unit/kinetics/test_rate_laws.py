"""Laws of temperature against closed forms written with k_B, h and R."""

import math

import pytest
import torch

from torchref_kinetic_plugin.errors import ParameterError
from torchref_kinetic_plugin.kinetics.activation import Saturation
from torchref_kinetic_plugin.kinetics.constraints import Between, Free, Positive, Unit
from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter
from torchref_kinetic_plugin.kinetics.rate_laws import TransitionLaw
from torchref_kinetic_plugin.kinetics.rates import LogLinearRate, LogTerms
from torchref_kinetic_plugin.kinetics.thermodynamics import LAWS

R, KB, H = 8.31446261815324, 1.380649e-23, 6.62607015e-34  # J/(mol K), J/K, J s


def law(name, rate, energy, reference=295.0):
    level = ScalarParameter("k", rate, Positive())
    return TransitionLaw("A->B", LAWS[name], reference, level, ScalarParameter("E", energy, Free(15.0)))


@pytest.mark.parametrize("temperature", [180.0, 277.0, 295.0, 330.0])
def test_eyring(temperature):
    enthalpy, entropy = 62.5, -35.0  # kJ/mol, J/(mol K)

    def k(t):
        return KB * t / H * math.exp(entropy / R) * math.exp(-1e3 * enthalpy / (R * t))

    found = law("eyring", k(295.0), enthalpy)
    assert found.rate(temperature).item() == pytest.approx(k(temperature), rel=1e-13)
    values = {kind: (value.item(), unit) for kind, value, unit in found.activation(1.0)}
    assert values["activation_enthalpy"] == (pytest.approx(enthalpy, rel=1e-14), "kJ/mol")
    assert values["activation_entropy"] == (pytest.approx(entropy, rel=1e-12), "J/(mol K)")
    assert values["activation_gibbs_energy"] == (pytest.approx(enthalpy - 0.295 * entropy, rel=1e-13), "kJ/mol")
    assert values["activation_energy"] == (pytest.approx(enthalpy + 1e-3 * R * 295.0, rel=1e-14), "kJ/mol")


@pytest.mark.parametrize("temperature", [180.0, 295.0, 330.0])
def test_arrhenius(temperature):
    energy, factor = 48.0, 3e12

    def k(t):
        return factor * math.exp(-1e3 * energy / (R * t))

    found = law("arrhenius", k(295.0), energy)
    assert found.rate(temperature).item() == pytest.approx(k(temperature), rel=1e-13)
    values = {kind: value.item() for kind, value, _ in found.activation(1.0)}
    assert values["activation_energy"] == pytest.approx(energy)
    # A = e k_B T / h exp(dS / R) of a reaction of first order.
    assert values["activation_entropy"] == pytest.approx(R * math.log(factor * H / (math.e * KB * 295.0)), rel=1e-11)
    assert values["activation_enthalpy"] == pytest.approx(energy - 1e-3 * R * 295.0)


def test_units_of_time_enter_the_entropy_only_as_they_should():
    per_second = {kind: value.item() for kind, value, _ in law("eyring", 2e6, 50.0).activation(1.0)}
    per_microsecond = {kind: value.item() for kind, value, _ in law("eyring", 2.0, 50.0).activation(1e6)}
    assert per_microsecond == pytest.approx(per_second, rel=1e-13)


def test_a_constant_has_no_energy():
    level = ScalarParameter("k", 3.0, Positive())
    constant = TransitionLaw("A->B", LAWS["constant"], 295.0, level, None)
    assert constant.rate(150.0).item() == pytest.approx(3.0)
    assert list(constant.activation(1.0)) == []


def test_activation_energies_are_the_slopes_of_the_laws():
    for name in LAWS:
        found = law(name, 5.0, 40.0)
        step = 1e-3
        slope = (found.rate(295.0 + step).log() - found.rate(295.0 - step).log()).item() / (2.0 * step)
        expected = LAWS[name].activation_energy(torch.tensor(40.0, dtype=torch.float64), 295.0).item()
        if name != "constant":
            assert 1e-3 * R * 295.0**2 * slope == pytest.approx(expected, rel=1e-6)


def test_gradients_of_a_rate_by_both_modes():
    def rate(raw_level, raw_energy):
        found = law("eyring", 2.0, 50.0)
        terms = LogTerms(((found.energy, 0.7),), 0.3)
        single = LogLinearRate(found.level, terms)
        names = {"level.raw": raw_level, "terms.0.raw": raw_energy}
        return torch.func.functional_call(_Valued(single), {f"rate.{n}": p for n, p in names.items()}, ())

    inputs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.4, 3.0)]
    assert torch.autograd.gradcheck(rate, inputs, check_forward_ad=True)


class _Valued(torch.nn.Module):
    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self):
        return self.rate.value


def test_a_rate_is_set_by_its_level_and_one_that_follows_is_not():
    level, other = ScalarParameter("k", 2.0, Positive()), ScalarParameter("E", 3.0, Free())
    rate = LogLinearRate(level, LogTerms(((other, 0.5),), 1.0))
    rate.set(7.0)
    assert rate.number == pytest.approx(7.0)
    assert level.number == pytest.approx(7.0 / math.exp(2.5))
    assert other.number == 3.0
    with pytest.raises(ParameterError, match="must be finite and above 0"):
        rate.set(-1.0)
    with pytest.raises(ParameterError, match="it follows"):
        LogLinearRate(level, LogTerms(), follows="it follows").set(1.0)
    bounded = LogLinearRate(ScalarParameter("k", 2.0, Between(1.0, 3.0)), LogTerms((), math.log(10.0)))
    with pytest.raises(ParameterError, match="its bounds are 1 to 3"):
        bounded.set(50.0)


def test_a_rate_is_frozen_when_all_of_it_is():
    level, other = ScalarParameter("k", 2.0, Positive()), ScalarParameter("E", 3.0, Free())
    rate = LogLinearRate(level, LogTerms(((other, 0.5),)))
    level.freeze()
    assert not rate.frozen
    other.freeze()
    assert rate.frozen


@pytest.mark.parametrize("energy", [1e-9, 3e-6, 3e-5, 3e-3])
def test_saturation_law(energy):
    law_ = Saturation(ScalarParameter("m", 0.6, Unit()), ScalarParameter("E", 3e-5, Positive()), energy)
    assert law_.number == pytest.approx(0.6 * (1.0 - math.exp(-energy / 3e-5)), rel=1e-6)
    if energy == 1e-9:
        # Far below saturation it is in proportion, without loss of digits.
        assert law_.number == pytest.approx(0.6 * (1e-9 / 3e-5) * (1.0 - 1e-9 / 6e-5), rel=1e-12)
