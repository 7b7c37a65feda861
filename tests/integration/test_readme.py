"""What the README shows runs as written."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_python_of_the_readme(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert tuple(names["occupancies"].shape) == (3, 9)
    assert {path.name for path in tmp_path.iterdir()} == {"photocycle.png", "scheme.png"}
    assert "B->C" in capsys.readouterr().out


def test_python_of_the_documentation(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "example_data").symlink_to(ROOT / "example_data")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)
    first, second = ({}, {})
    exec(compile(blocks[0], "python.md", "exec"), first)
    assert first["k"].refined
    assert "95 % interval" in capsys.readouterr().out
    exec(compile(blocks[1], "python.md", "exec"), second)
    assert second["components"].grad.abs().min() > 0.0
    rate = second["model"].kinetics.network.rate_parameters()["B->A"]
    assert abs(rate.raw.grad.item()) > 0.0


def test_files_of_the_documentation_are_read(tmp_path):
    """The refinement file of the README and the simulation file of its page hold no key that does not exist."""
    from torchref_kinetic_plugin.config import read_refinement_file, read_simulation_file

    example = ROOT / "example_data" / "photocycle"
    for name in ("dark.pdb", "i1.pdb", "i2.pdb", "dark.mtz", "t01.mtz", "t04.mtz", "t06.mtz"):
        (tmp_path / name).symlink_to(example / name)
    (tmp_path / "280K").symlink_to(example)
    for page, read in (
        (ROOT / "README.md", read_refinement_file),
        (ROOT / "docs" / "simulate.md", read_simulation_file),
    ):
        texts = re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
        assert len(texts) == (2 if page.name == "simulate.md" else 1)
        for text in texts:
            (tmp_path / "file.toml").write_text(text)
            assert read(tmp_path / "file.toml").structures.names[0] == "dark"


def test_every_key_is_documented():
    from torchref_kinetic_plugin.config.schema import (
        Experiment,
        RefinementFile,
        RefinementSection,
        StructuresSection,
        ValidationSection,
    )
    from torchref_kinetic_plugin.plugins.kinetics_settings import KineticsSettings

    page = (ROOT / "docs" / "refinement-file.md").read_text()
    for model in (
        RefinementFile,
        RefinementSection,
        StructuresSection,
        Experiment,
        ValidationSection,
        KineticsSettings,
    ):
        for name, field in model.model_fields.items():
            if name not in {"provider_section", "path"}:
                assert (field.alias or name) in page, f"{model.__name__}.{name}"


def test_every_key_of_a_simulation_file_is_documented():
    from torchref_kinetic_plugin.config import simulation

    page = (ROOT / "docs" / "simulate.md").read_text()
    for model in (
        simulation.SimulationFile,
        simulation.SimulationSection,
        simulation.SimulatedExperiment,
        simulation.NoiseSection,
        simulation.SolventSection,
        simulation.ScalingSection,
    ):
        for name, field in model.model_fields.items():
            if name != "provider_section":
                assert (field.alias or name) in page, f"{model.__name__}.{name}"


def test_every_key_of_a_campaign_file_is_documented_and_its_examples_are_planned(tmp_path):
    from torchref_kinetic_plugin.campaign.planning import plan_campaign
    from torchref_kinetic_plugin.config.campaign import CampaignFile, Run

    page = (ROOT / "docs" / "campaigns.md").read_text()
    for model in (CampaignFile, Run):
        for name, field in model.model_fields.items():
            if name != "path":
                assert f"`{field.alias or name}`" in page, f"{model.__name__}.{name}"
    for file in (ROOT / "example_data" / "photocycle").iterdir():
        (tmp_path / file.name).symlink_to(file)
    numbers = []
    for text in re.findall(r"```toml\n(.*?)```", page, re.DOTALL):
        (tmp_path / "campaign.toml").write_text(text)
        numbers.append(len(plan_campaign(tmp_path / "campaign.toml", builtin_only=True).runs))
    assert numbers == [12, 10]


def test_links_of_the_documentation_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
