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

from torchref_kinetic_plugin.bridge.atom_table import smallest_b
from torchref_kinetic_plugin.bridge.crystal import Crystal, Indices
from torchref_kinetic_plugin.bridge.environment import complex_of, quiet, settings
from torchref_kinetic_plugin.bridge.framework_model import KINDS, StructureAtoms, atoms_of, model_of, tables_of
from torchref_kinetic_plugin.bridge.solvent import SolventMasks
from torchref_kinetic_plugin.bridge.transform import DensityTransform
from torchref_kinetic_plugin.errors import ShapeError, UnknownNameError

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
    sharpest : float, optional
        Smallest B that the blur must serve where atoms will be refined, A^2; default that of the structures.
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
        sharpest: float | None = None,
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
            self.models = tuple(model_of(structure, crystal, options, frozenset(free)) for structure in structures)
        smallest = min(smallest_b(structure) for structure in structures)
        smallest = smallest if sharpest is None else min(smallest, sharpest)
        needed = 8.0 * math.pi**2 / 1.1 * (resolution / sampling) ** 2 - smallest
        self.blur = max(0.0, needed) if blur is None else blur
        isotropic = [self.blur / (8.0 * math.pi**2)] * 3
        self._blur_u = torch.tensor([*isotropic, 0.0, 0.0, 0.0], dtype=dtype, device=device)
        squares = torch.as_tensor(crystal.resolution(indices) ** -2.0, dtype=dtype, device=device)
        self._sharpening = torch.exp(0.25 * self.blur * squares)
        self._solvent = SolventMasks(structures, indices, crystal)
        self._masks: Tensor | None = None
        self._transform: DensityTransform | None = None

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
        isotropic, anisotropic = tables_of(model)
        xyz, b, *form = isotropic
        isotropic = (xyz, b + self.blur, *form)
        xyz, u, *form = anisotropic
        anisotropic = (xyz, u + self._blur_u, *form)
        return self.from_density(self._density(model, isotropic, anisotropic))

    def _density(self, model: Any, isotropic: Any, anisotropic: Any) -> Tensor:
        """Of blurred atoms, on the grid that all models have."""
        fft = model.fft
        fft.ensure_grid()
        density: Tensor = fft.build_density_map(
            *isotropic, *anisotropic, apply_symmetry=not fft.late_symmetry_compatible
        )
        return density

    def from_density(self, density: Tensor) -> Tensor:
        """Structure factors (H,) of a density of `density_of`, or of a sum of such; the blur is taken off."""
        fft = self.models[0].fft
        if not fft.late_symmetry_compatible:
            factors: Tensor = fft.map_to_structure_factors(density, self.hkl, apply_symmetry=False)
            return factors * self._sharpening
        if self._transform is None or self._transform.shape != fft.grid_shape:
            extractor = fft.ctx.spacegroup.reciprocal_extractor(self.hkl, fft.grid_shape)
            volume = float(self.crystal.cell.volume)
            self._transform = DensityTransform(extractor.equiv_hkls, extractor.phases, fft.grid_shape, volume)
        return self._transform(density) * self._sharpening

    def atoms(self, structure: int) -> StructureAtoms:
        """The atoms of a structure as they are, in the order of gemmi's ``model.all()``."""
        with self._settings():
            return atoms_of(self.models[structure])

    def density_of(
        self,
        xyz: Tensor,
        displacement: Tensor,
        occupancy: Tensor,
        form: tuple[Tensor, Tensor],
        *,
        anisotropic: bool,
    ) -> Tensor:
        """Density, blurred, of n atoms of one kind; a real array for `from_density`, which knows the symmetry.

        Parameters
        ----------
        xyz : Tensor
            (n, 3), A.
        displacement : Tensor
            (n,) B or (n, 6) U, A^2.
        occupancy : Tensor
            (n,).
        form : pair of Tensor
            As of `atoms`.
        anisotropic : bool
            Which displacement it is.
        """
        given = (xyz, displacement + (self._blur_u if anisotropic else self.blur), occupancy, *form)
        shape = (0,) if anisotropic else (0, 6)
        none = (xyz[:0], xyz.new_zeros(shape), occupancy[:0], form[0][:0], form[1][:0])
        with self._settings():
            return self._density(self.models[0], *((none, given) if anisotropic else (given, none)))

    def place(self, structure: int, xyz: Tensor) -> None:
        """Put the atoms (n_atoms, 3) of a structure elsewhere, A; masks do not follow before `update_masks`."""
        model = self.models[structure]
        model.xyz.set(xyz.to(model.xyz().dtype), torch.ones(len(xyz), dtype=torch.bool, device=xyz.device))

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
        rows = []
        with self._settings(), torch.no_grad():
            for number, model in enumerate(self.models):
                xyz = model.xyz().double().cpu().numpy()
                rows.append(torch.as_tensor(self._solvent.structure_factors(number, xyz), device=self.hkl.device))
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
