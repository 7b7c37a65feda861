"""``init``: a refinement file to start from."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from torchref_kinetic_plugin.config import starting_file, time_in_name
from torchref_kinetic_plugin.errors import FileError, InputError
from torchref_kinetic_plugin.files import make_directory, write_text

_MODELS = (".pdb", ".ent", ".cif", ".mmcif")
_REFLECTIONS = (".mtz", "-sf.cif", "_sf.cif", "-sf.mmcif", ".hkl.cif")
_REFERENCE = re.compile(r"(?i)(dark|laser_?off|ground|apo_off|reference|(?<![a-z])off(?![a-z]))")


def start(
    directory: str | os.PathLike[str],
    files: Sequence[str | os.PathLike[str]],
    *,
    references: Sequence[str | os.PathLike[str]] = (),
    replace: bool = False,
) -> Path:
    """Write a commented ``refinement.toml`` that names models and reflections.

    What is a model and what reflections is told by the endings; a reference by its name (dark, laser_off, ground, off,
    reference) where none is given; a delay by the file name, as in ``t_2.5us.mtz``.

    Parameters
    ----------
    directory : path
        Where it is written; made when absent.
    files : sequence of path
        Models, that of the reference first, and reflections.
    references : sequence of path
        Reflections measured without the trigger, where names do not tell.
    replace : bool
        Whether a ``refinement.toml`` that is there may be replaced.

    Raises
    ------
    InputError
        Without models or reflections, or for a file of neither kind.
    FileError
        For a file that does not exist, or a ``refinement.toml`` that does.
    """
    target = Path(directory) / "refinement.toml"
    if target.exists() and not replace:
        raise FileError(f"{str(target)!r} exists already; --force replaces it")
    given = [Path(file) for file in (*files, *references)]
    if missing := [str(path) for path in given if not path.is_file()]:
        raise FileError(f"no such file: {', '.join(missing)}")
    models: list[Path] = []
    data = [Path(file) for file in references]
    for path in map(Path, files):
        kind = _kind(path)
        (models if kind == "model" else data).append(path)
    if not models or not data:
        lacking = "models (PDB or mmCIF)" if not models else "reflections (MTZ or structure-factor mmCIF)"
        raise InputError(f"no {lacking} among the files named")
    named = {path.resolve() for path in map(Path, references)}
    dark = [path for path in data if path.resolve() in named] or [p for p in data if _REFERENCE.search(p.name)]
    dark = dark or data[:1]
    base = target.parent.resolve()
    timepoints = [(_relative(path, base), time_in_name(path.name)) for path in data if path not in dark]
    make_directory(target.parent)
    write_text(
        target,
        starting_file(
            {name: _relative(path, base) for name, path in _named(models).items()},
            [_relative(path, base) for path in dark],
            timepoints,
            title=base.name,
        ),
    )
    return target


def _kind(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(_REFLECTIONS):
        return "reflections"
    if name.endswith(_MODELS):
        return "model"
    raise InputError(
        f"{str(path)!r}: neither a model ({', '.join(_MODELS)}) nor reflections ({', '.join(_REFLECTIONS)}), gzipped "
        "or not"
    )


def _named(models: Sequence[Path]) -> dict[str, Path]:
    """Names of the structures from the file names."""
    found: dict[str, Path] = {}
    for path in models:
        stem = re.sub(r"[^A-Za-z0-9._+-]+", "_", path.name.split(".")[0]) or "structure"
        name, number = stem, 2
        while name in found:
            name, number = f"{stem}_{number}", number + 1
        found[name] = path
    return found


def _relative(path: Path, base: Path) -> str:
    return Path(os.path.relpath(path.resolve(), base)).as_posix()
