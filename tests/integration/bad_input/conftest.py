"""A small series, made once; each test spoils a copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.bad_input.inputs import Inputs, copied
from tests.unit.campaign.tiny_series import make_series


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sound")
    make_series(directory)
    return directory


@pytest.fixture
def inputs(sound: Path, tmp_path: Path) -> Inputs:
    return copied(sound, tmp_path / "series")
