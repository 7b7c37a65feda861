"""Structure factors of K structures on one list of reflections, by TorchRef."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Sequence
from typing import Any, final

import gemmi
import numpy as np
import torch
from torch import Tensor, nn

from torchref_kinetic_plugin.bridge.atom_table import has_hydrogens, occupancies_of, reader_of, smallest_b
from torchref_kinetic_plugin.bridge.crystal import Crystal, Indices
from torchref_kinetic_plugin.bridge.environment import complex_of, framework, quiet, settings
from torchref_kinetic_plugin.errors import ShapeError, UnknownNameError

KINDS = ("xyz", "adp", "u")
_NYQUIST = 3.0  # grid points per resolution length that TorchRef takes by itself


@final
class StructureFactorBank:
    """K structures in the data's crystal; evaluates each once, whatever is done with it afterwards.

    Every call computes: whoever needs the result for several timepoints or terms of an objective keeps it for
    the step. Nothing here knows of time.

    Parameters
    ----------
    structures : sequence of gemmi.Structure
        One model each. Alternative conformations stay, with the occupancies given, which are not refined:
        TorchRef would have them refine, and rescale those of a residue to sum to 1.
    hkl : ndarray
        (H, 3) int, the reflections.
    crystal : Crystal
        Cell and space group of the data. Structures move into it at their fractional coordinates.
    free : collection of str
        What may have gradients: "xyz" (Cartesian coordinates, A), "adp" (isotropic B, A^2; refined as its
        logarithm), "u" (anisotropic U, A^2). Empty: structures as given.
    restraint_files : sequence of path
        Restraints of monomers that TorchRef does not know; used where hydrogens ride.
    d_min : float, optional
        Resolution that the grid must serve; default that of ``hkl``.
    cutoff : float
        Radius of an atom's density, in units of its width; TorchRef's own choice is 3.0.
    sampling : float
        Grid points per d_min.
    blur : float, optional
        B added to every atom, and taken off its structure factors again, A^2. Without it TorchRef's density of
        an atom with a small B is too sharp for the grid, and structure factors are wrong by up to 2 %. Default
        as much as the sharpest atom needs (Afonine & Urzhumtsev, Acta Cryst. A60, 19, 2004; as gemmi has it).
    dtype : torch.dtype
        float64, or float32 where the device has nothing else. On a CPU TorchRef's float64 kernel is also the
        faster one (2 to 3 times).
    device : torch.device or str
        Where to compute.
    wavelength : float, optional
        Adds f' of the elements that have it, A; f'' does not show in merged data.

    Attributes
    ----------
    blur : float
        What was chosen.
    models : tuple
        The TorchRef ``ModelFT`` of each structure.

    Raises
    ------
    CrystalError
        When a structure does not fit the crystal.
    UnknownNameError
        For a kind of parameter that does not exist.
    """

    def __init__(
        self,
        structures: Sequence[gemmi.Structure],
        hkl: Indices,
        crystal: Crystal,
        *,
        free: Collection[str] = (),
        restraint_files: Sequence[str | os.PathLike[str]] = (),
        d_min: float | None = None,
        cutoff: float = 3.5,
        sampling: float = 3.0,
        blur: float | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        wavelength: float | None = None,
    ) -> None:
        for kind in free:
            if kind not in KINDS:
                raise UnknownNameError("kind of parameter", kind, KINDS, "free")
        if not structures:
            raise ShapeError("no structures")
        self.crystal = crystal
        self.dtype = dtype
        self.cutoff = cutoff
        indices = np.ascontiguousarray(hkl, dtype=np.int32)
        resolution = float(crystal.resolution(indices).min()) if d_min is None else d_min
        self.hkl = torch.as_tensor(indices, device=device)
        options = {
            "max_res": resolution * _NYQUIST / sampling,
            "dtype_float": dtype,
            "device": torch.device(device),
            "wavelength": wavelength,
            "verbose": 0,
            "cif_path": [os.fspath(path) for path in restraint_files] or None,
        }
        with self._settings(), quiet():
            self.models = tuple(_model(structure, crystal, options, frozenset(free)) for structure in structures)
        sharpest = min(smallest_b(structure) for structure in structures)
        needed = 8.0 * math.pi**2 / 1.1 * (resolution / sampling) ** 2 - sharpest
        self.blur = max(0.0, needed) if blur is None else blur
        squares = torch.as_tensor(crystal.resolution(indices) ** -2.0, dtype=dtype, device=device)
        self._sharpening = torch.exp(0.25 * self.blur * squares)
        self._masks: Tensor | None = None

    def _settings(self) -> Any:
        return settings(dtype=self.dtype, cutoff=self.cutoff)

    @property
    def n_structures(self) -> int:
        """K."""
        return len(self.models)

    @property
    def n_reflections(self) -> int:
        """H."""
        return len(self.hkl)

    def structure_factors(self) -> Tensor:
        """Of the atoms, on an absolute scale.

        Returns
        -------
        Tensor
            (K, H) complex, electrons; differentiable in what is free, once (the kernels have no second
            derivative).
        """
        with self._settings():
            return torch.stack([self._of_atoms(model) for model in self.models])

    def _of_atoms(self, model: Any) -> Tensor:
        xyz, b, *form = model.get_iso()
        isotropic = (xyz, b + self.blur, *form)
        xyz, u, *form = model.get_aniso()
        shift = u.new_tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]) * (self.blur / (8.0 * math.pi**2))
        anisotropic = (xyz, u + shift, *form)
        if model.wavelength is not None:
            isotropic, anisotropic, _ = model._add_anomalous_scattering(isotropic, anisotropic, include_fdp=False)
        factors: Tensor = model.fft.compute_structure_factors(self.hkl, *isotropic, *anisotropic)[0]
        return factors * self._sharpening

    def mask_structure_factors(self) -> Tensor:
        """Of the region that each structure leaves to bulk solvent, at density 1 e/A^3.

        Kept until `update_masks`; the mask is a set of voxels, so there is no gradient to the atoms.

        Returns
        -------
        Tensor
            (K, H) complex.
        """
        if self._masks is None:
            self.update_masks()
        assert self._masks is not None
        return self._masks

    def update_masks(self) -> None:
        """Compute the solvent masks again, from the present coordinates."""
        solvent = framework("scaling").SolventModel
        rows = []
        with self._settings(), quiet(), torch.no_grad():
            for model in self.models:
                # Radii of TorchRef's own scaler: probe 1.1 A, shrunk by 0.9 A.
                mask = solvent(model, radius=1.1, erosion_radius=0.9, verbose=0, device=self.hkl.device)
                mask.update_solvent()
                rows.append(mask.get_rec_solvent(self.hkl))
        self._masks = torch.stack(rows).to(complex_of(self.dtype))

    def parameters(self) -> list[nn.Parameter]:
        """What is free, of all structures; coordinates, then displacement, structure by structure.

        With riding hydrogens, coordinates are those of the other atoms and the hydrogens' own torsions.
        """
        return [
            parameter
            for model in self.models
            for parameter in model.parameters()
            if parameter.requires_grad and parameter.numel()
        ]


def _model(structure: gemmi.Structure, crystal: Crystal, options: dict[str, Any], free: frozenset[str]) -> Any:
    # Frames of riding hydrogens need the restraints (2 s); nothing rides where nothing moves.
    riding = "xyz" in free and has_hydrogens(structure)
    model = framework("model").ModelFT(hydrogen_mode="riding" if riding else "atoms", **options)
    model.load(reader_of(structure, crystal))
    occupancies = torch.as_tensor(occupancies_of(structure), dtype=options["dtype_float"])
    wrappers = framework("model.parameter_wrappers")
    model.occupancy = wrappers.OccupancyTensor(occupancies, use_sigmoid=False, device=options["device"])
    model.occupancy_mask.fill_(False)
    for kind in (*KINDS, "occupancy"):
        if kind not in free:
            model.freeze(kind)
    return model
