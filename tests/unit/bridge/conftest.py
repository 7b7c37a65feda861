"""Data of the lysozyme series, where there are any."""

from __future__ import annotations

from pathlib import Path

import pytest

_DATA = Path(__file__).parents[4] / "shared" / "data" / "hewl_tjump"


@pytest.fixture(scope="session")
def lysozyme() -> Path:
    if not _DATA.is_dir():
        pytest.skip(f"no {_DATA}")
    return _DATA
