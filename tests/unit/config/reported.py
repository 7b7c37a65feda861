"""What is reported of a wrong file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from torchref_kinetic_plugin.config import ConfigError, read_refinement_file

#: Said of a name that cannot be part of a file name.
NAME = "becomes part of file names: letters, digits, '.', '_', '+' and '-' are allowed, a letter or digit first, 60 at most"


def problems(path: Path, **arguments: Any) -> list[tuple[str, str]]:
    """Place and message of each problem of a file."""
    with pytest.raises(ConfigError) as caught:
        read_refinement_file(path, **arguments)
    return [(problem.place, problem.message) for problem in caught.value.problems]
