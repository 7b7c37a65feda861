import pytest
import torch
from torch import nn

from tests.unit.plugins import fakes
from torchref_kinetic_plugin.plugins import ExperimentSchedule, OccupancyProvider, PluginManager
from torchref_kinetic_plugin.plugins.contract import check_provider

CHAIN = {
    "scheme": "A->B,B->C,C->A",
    "state_mapping": {"A": "structure_0", "B": "structure_1", "C": "structure_2"},
    "rate_constants": {"A->B": "inf", "B->C": "1/(2 us)", "C->A": "1/(30 us)"},
    "efficiencies": {"A->B": 0.3},
    "light_activated": True,
}
SETTINGS = {
    "chain": ("kinetics", CHAIN),
    "everything refined": (
        "kinetics",
        {
            **CHAIN,
            "refine_efficiencies": ["A->B"],
            "instrument_function": "gaussian",
            "instrument_width": "80 ns",
            "refine_instrument": ["width", "time_zero"],
            "shared": "all",
            "regularization": {"rate_prior_weight": 1.0, "rate_prior_mean": "1/(1 us)"},
        },
    ),
    "activation by timepoint": (
        "kinetics",
        {**CHAIN, "activation": 0.4, "refine_activation": True, "activation_spread": 0.3},
    ),
    "bounds and ties": (
        "kinetics",
        {
            "scheme": "A->B,B->C",
            "state_mapping": CHAIN["state_mapping"],
            "bounds": {"A->B": ["1/(100 us)", "1/(100 ns)"]},
            "ties": {"B->C": ["A->B", 0.5]},
            "shared": "all",
        },
    ),
    "unrestrained": ("unrestrained", {}),
    "unrestrained, started": (
        "unrestrained",
        {"start": {"structure_0": 0.7, "structure_1": 0.2, "structure_2": 0.1}},
    ),
    "fixed": (
        "fixed",
        {
            "occupancies": {
                "first": {"structure_0": [0.5, 1.0, 0.6, 0.6, 0.9], "structure_1": [0.2, 0.0, 0.4, 0.4, 0.0]},
                "second": {"structure_0": 0.5, "structure_1": 0.25, "structure_2": 0.25},
            }
        },
    ),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_built_in_providers_keep_the_contract(case):
    name, settings = SETTINGS[case]
    check_provider(PluginManager(builtin_only=True).provider(name), settings)


def test_every_built_in_provider_is_held_against_it():
    assert {name for name, _ in SETTINGS.values()} == set(PluginManager(builtin_only=True).provider_names())


def test_a_third_party_provider_keeps_it():
    check_provider(fakes.DECAY, {"start": 0.4})
    check_provider(fakes.DECAY, fakes.DecaySettings(), 2)


class Breaking(nn.Module):
    """Breaks one clause of the contract."""

    def __init__(self, clause, n_structures, n_timepoints):
        super().__init__()
        self.clause = clause
        self.logits = nn.Parameter(torch.zeros(n_structures, n_timepoints, dtype=torch.float64))
        if clause == "drawn anew at each start":
            self.logits.data += torch.rand(()) * torch.arange(n_structures).unsqueeze(-1)
        if clause == "unused parameter":
            self.other = nn.Parameter(torch.zeros(()))
        self.memory = None

    def forward(self):
        logits = self.logits
        if self.clause == "detached":
            logits = logits.detach() + 0.0 * self.logits
        if self.clause == "drawn at each call":
            logits = logits + torch.rand_like(logits)
        if self.clause == "not finite once moved" and bool((logits != 0.0).any()):
            logits = logits / 0.0 * 0.0
        if self.clause == "kept from before":
            if self.memory is None:
                self.memory = torch.softmax(logits, 0)
            return self.memory
        return torch.softmax(logits, 0)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        if self.clause != "forgotten":
            super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.clause == "changed by saving":
            destination[f"{prefix}logits"] = destination[f"{prefix}logits"].round(decimals=2)

    def get_regularization_loss(self):
        return self.logits.new_zeros(())

    def get_parameter_groups(self, base_lr=0.1):
        lr = 0.1 if self.clause == "deaf to base_lr" else base_lr
        return [{"params": list(self.parameters()), "lr": lr, "name": "all"}]


@pytest.mark.parametrize(
    ("clause", "message"),
    [
        ("detached", "gradient of .*logits is zero"),
        ("unused parameter", "no gradient reaches .*other"),
        ("drawn anew at each start", "same settings and seed"),
        ("drawn at each call", "called again"),
        ("not finite once moved", "not finite|nan"),
        ("deaf to base_lr", "does not follow base_lr"),
        ("kept from before", "leave the occupancies as they were"),
        ("forgotten", "saved state lacks .*logits"),
        ("changed by saving", "loaded state gives other"),
    ],
)
def test_the_contract_finds_what_breaks_it(clause, message):
    def factory(settings, experiments, names, seed):  # noqa: ARG001
        return [Breaking(clause, len(names), len(e.times)) for e in experiments]

    with pytest.raises(AssertionError, match=message):
        check_provider(OccupancyProvider("breaking", None, factory, "broken"), None)


def test_the_contract_names_a_module_of_wrong_shape():
    def factory(settings, experiments, names, seed):  # noqa: ARG001
        return [Breaking("none", len(names) + 1, len(e.times)) for e in experiments]

    with pytest.raises(AssertionError, match="shape"):
        check_provider(OccupancyProvider("breaking", None, factory, "broken"), None)


def test_it_may_be_told_the_experiments():
    schedule = (ExperimentSchedule("cold", (1.0, 2.0)),)
    provider = PluginManager(builtin_only=True).provider("fixed")
    check_provider(
        provider, {"occupancies": {"cold": {"a": [0.5, 0.2]}}}, structure_names=("a", "b"), experiments=schedule
    )
