"""Plugins of third parties, as good and as broken as the tests need them."""

import types
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from torchref_kinetic_plugin.plugins import ExperimentSchedule, OccupancyProvider, ReportSection, hookimpl

EXPERIMENTS = (
    ExperimentSchedule("280K", (1e-6, 1e-5, -1e-7), "us", 280.0),
    ExperimentSchedule("300K", (2e-6, 2e-5), "us", 300.0),
)
NAMES = ("dark", "I1", "I2")


@dataclass
class Package:
    name: str
    version: str


class Installed:
    """An entry point whose plugin lives in memory."""

    def __init__(self, name, plugin, package="third-party", version="2.1"):
        self.name, self.plugin, self.dist = name, plugin, Package(package, version)

    def load(self):
        if isinstance(self.plugin, BaseException):
            raise self.plugin
        return self.plugin


class DecaySettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    start: float = 0.3


class Decay(nn.Module):
    """First structure grows, the last gives; the lifetime is shared between experiments."""

    def __init__(self, start, times, n_structures, log_lifetime):
        super().__init__()
        self.log_lifetime = log_lifetime
        self.level = nn.Parameter(torch.logit(torch.tensor(start, dtype=torch.float64)))
        self.n_structures = n_structures
        self.register_buffer("times", torch.tensor(times, dtype=torch.float64))

    def forward(self):
        moved = torch.sigmoid(self.level) * torch.exp(-self.times.clamp(min=0.0) / self.log_lifetime.exp())
        rest = [torch.zeros_like(moved)] * (self.n_structures - 2)
        return torch.stack([1.0 - moved, *rest, moved])

    def get_regularization_loss(self):
        return self.level**2

    def get_parameter_groups(self, base_lr=0.001):
        return [{"params": [self.level, self.log_lifetime], "lr": base_lr, "name": "decay"}]


def build_decay(settings, experiments, structure_names, seed):  # noqa: ARG001
    lifetime = nn.Parameter(torch.tensor(-11.0, dtype=torch.float64))
    return [Decay(settings.start, e.times, len(structure_names), lifetime) for e in experiments]


DECAY = OccupancyProvider("decay", DecaySettings, build_decay, "one exponential")


def provider(factory, name="decay"):
    return OccupancyProvider(name, None, factory, "of the tests")


def plugin(*providers, **hooks):
    """A plugin module with these providers and any other hooks."""
    module = types.ModuleType("third_party")
    if providers:

        @hookimpl
        def torchref_kinetic_occupancy_providers():
            return list(providers)

        module.torchref_kinetic_occupancy_providers = torchref_kinetic_occupancy_providers
    for name, function in hooks.items():
        setattr(module, f"torchref_kinetic_{name}", hookimpl(function))
    return module


def section(result):
    return [ReportSection("Decay", f"of {result}", ("what", "value"), (("lifetime", "1"),))]
