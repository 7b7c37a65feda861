"""Scales between datasets and against a model: known ones recovered, undetermined ones refused."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.bridge import crystals
from torchref_kinetic_plugin.bridge import (
    AnisotropicScales,
    Crystal,
    fit_relative_scales,
    fit_scales_to_model,
)
from torchref_kinetic_plugin.errors import ParameterError, ScalingError, ShapeError


def true_scales(where: Crystal, n_sets: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    log_scale = random.normal(0.0, 0.7, n_sets)
    b = np.einsum(
        "tn,nij->tij",
        random.normal(0.0, 4.0, (n_sets, len(where.symmetric_matrices))),
        where.symmetric_matrices,
    )
    log_scale[0], b[0] = 0.0, 0.0
    return log_scale, b


def factors(where: Crystal, hkl: np.ndarray, log_scale: np.ndarray, b: np.ndarray) -> np.ndarray:
    s = where.scattering_vectors(hkl)
    return np.exp(log_scale[:, None] - 0.25 * np.einsum("hi,tij,hj->th", s, b, s))


def common_amplitudes(where: Crystal, hkl: np.ndarray, random: np.random.Generator) -> np.ndarray:
    falloff = np.exp(-10.0 / (4.0 * where.resolution(hkl) ** 2))
    return 200.0 * falloff * np.sqrt(random.exponential(1.0, len(hkl)))


@pytest.mark.parametrize("group", crystals.GROUPS)
def test_noise_free_scales_are_recovered_with_gaps(group: str) -> None:
    where, random = crystals.crystal(group), np.random.default_rng(5)
    hkl = crystals.reflections(where, 1.8)
    log_scale, b = true_scales(where, 5, random)
    amplitudes = factors(where, hkl, log_scale, b) * common_amplitudes(where, hkl, random)
    amplitudes[random.uniform(size=amplitudes.shape) < 0.1] = np.nan
    sigmas = 0.02 * amplitudes + 1.0
    for terms in (0, 3):
        found = fit_relative_scales(amplitudes, sigmas, hkl, where, resolution_terms=terms)
        np.testing.assert_allclose(found.log_scale, log_scale, atol=1e-6)
        np.testing.assert_allclose(found.b, b, atol=1e-6)
        np.testing.assert_allclose(found.coefficients[:, 1 + found.form.n_b :], 0.0, atol=1e-6)
        np.testing.assert_allclose(found.values(hkl), factors(where, hkl, log_scale, b), rtol=1e-6)
        assert found.residual.max() < 1e-6
    model = np.where(np.isnan(amplitudes), np.nan, 1.0) * amplitudes / factors(where, hkl, log_scale, b)
    against = fit_scales_to_model(amplitudes, sigmas, model, hkl, where)
    np.testing.assert_allclose(against.log_scale, log_scale, atol=1e-6)
    np.testing.assert_allclose(against.b, b, atol=1e-6)


def noisy(n_sets: int, seed: int) -> tuple[Crystal, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    where, random = crystals.crystal("P 43 21 2"), np.random.default_rng(seed)
    hkl = crystals.reflections(where, 1.2)
    log_scale, b = true_scales(where, n_sets, random)
    true = factors(where, hkl, log_scale, b)
    common = common_amplitudes(where, hkl, random)
    # Real differences between the sets, errors of measurement (20 % at high resolution), and outliers.
    changed = common * (1.0 + random.normal(0.0, 0.05, true.shape))
    sigmas = true * (0.02 * common + 8.0)
    amplitudes = np.abs(true * changed + sigmas * random.normal(size=true.shape))
    wrong = random.uniform(size=true.shape) < 0.005
    amplitudes[wrong] *= random.uniform(3.0, 6.0, wrong.sum())
    return where, hkl, amplitudes, sigmas, log_scale, b


def deviations(found: AnisotropicScales, log_scale: np.ndarray, b: np.ndarray) -> np.ndarray:
    coefficients = np.einsum("tij,nij->tn", b, found.form.crystal.symmetric_matrices)
    true = np.column_stack([log_scale, coefficients])
    errors = np.sqrt(np.array([np.diagonal(c) for c in found.covariance]))
    return ((found.coefficients - true)[1:] / errors[1:]).ravel()


def test_noisy_scales_within_their_errors() -> None:
    all_deviations = []
    for seed in range(8):
        where, hkl, amplitudes, sigmas, log_scale, b = noisy(6, seed)
        found = fit_relative_scales(amplitudes, sigmas, hkl, where, resolution_terms=0)
        all_deviations.append(deviations(found, log_scale, b))
        np.testing.assert_allclose(found.log_scale, log_scale, atol=0.03)
        np.testing.assert_allclose(found.b, b, atol=0.4)
    spread = np.concatenate(all_deviations)
    assert 0.6 < spread.std() < 1.5
    assert abs(spread.mean()) < 0.5


def test_weak_data_do_not_bias_the_b_factor() -> None:
    # A set with errors of 60 % of the mean amplitude in its outer shell, against a good one.
    where, random = crystals.crystal("P 43 21 2"), np.random.default_rng(11)
    hkl = crystals.reflections(where, 1.0)
    common = common_amplitudes(where, hkl, random) + 20.0
    sigmas = np.stack([0.01 * common, np.full(len(hkl), 0.6 * common[where.resolution(hkl) < 1.1].mean())])
    amplitudes = common + sigmas * random.normal(size=sigmas.shape)
    found = fit_relative_scales(amplitudes, sigmas, hkl, where, resolution_terms=0, reference=1)
    assert abs(found.log_scale[0]) < 4.0 * np.sqrt(found.covariance[0, 0, 0])
    assert abs(found.b_iso[0]) < 0.15


def test_scales_do_not_depend_on_the_reference() -> None:
    where, hkl, amplitudes, sigmas, _, _ = noisy(4, 3)
    first = fit_relative_scales(amplitudes, sigmas, hkl, where)
    third = fit_relative_scales(amplitudes, sigmas, hkl, where, reference=2)
    np.testing.assert_array_equal(third.coefficients[2], 0.0)
    # Weights are held before they stop changing in the last digits; far below the errors.
    difference = (first.coefficients - first.coefficients[2] - third.coefficients)[[1, 3]]
    errors = np.sqrt(np.array([np.diagonal(first.covariance[row]) for row in (1, 3)]))
    assert np.abs(difference / errors).max() < 0.02


def test_reflections_not_used_have_no_influence() -> None:
    where, hkl, amplitudes, sigmas, _, _ = noisy(3, 4)
    use = np.random.default_rng(0).uniform(size=len(hkl)) > 0.05
    spoiled = np.where(use, amplitudes, 100.0 * amplitudes)
    expected = fit_relative_scales(amplitudes, sigmas, hkl, where, use=use)
    np.testing.assert_array_equal(
        fit_relative_scales(spoiled, sigmas, hkl, where, use=use).coefficients, expected.coefficients
    )


def test_a_chain_of_overlaps_is_enough() -> None:
    where, random = crystals.crystal("P 43 21 2"), np.random.default_rng(6)
    hkl = crystals.reflections(where, 1.5)
    log_scale, b = true_scales(where, 3, random)
    amplitudes = factors(where, hkl, log_scale, b) * common_amplitudes(where, hkl, random)
    third = random.integers(0, 3, len(hkl))
    amplitudes[0, third == 2] = np.nan
    amplitudes[2, third != 2] = np.nan
    found = fit_relative_scales(amplitudes, np.ones_like(amplitudes), hkl, where)
    np.testing.assert_allclose(found.log_scale, log_scale, atol=1e-6)


def test_undetermined_scales_are_refused_by_name() -> None:
    where, random = crystals.crystal("P 1"), np.random.default_rng(7)
    hkl = crystals.reflections(where, 2.0)
    amplitudes = np.tile(common_amplitudes(where, hkl, random), (3, 1))
    sigmas = 0.05 * amplitudes + 1.0
    names = ["dark", "1 us", "10 us"]

    def refused(change: np.ndarray, message: str) -> None:
        with pytest.raises(ScalingError, match=message):
            fit_relative_scales(change, sigmas, hkl, where, names=names)

    apart = amplitudes.copy()
    apart[0, ::2] = apart[2, ::2] = apart[1, 1::2] = np.nan
    refused(apart, "no reflections in common with dark, directly or through others: 1 us")
    few = amplitudes.copy()
    few[2, 5:] = np.nan
    refused(few, "do not determine the scale and anisotropic B of 10 us")
    plane = amplitudes.copy()
    plane[1, hkl[:, 2] != 0] = np.nan
    refused(plane, "do not determine the scale and anisotropic B of 1 us")
    empty = amplitudes.copy()
    empty[1] = np.nan
    refused(empty, "1 us")
    other = amplitudes.copy()
    other[2] = random.permutation(other[2])
    refused(other, "10 us does not agree with the other datasets")
    with pytest.raises(ScalingError, match="the model does not describe 10 us"):
        fit_scales_to_model(other, sigmas, amplitudes[0], hkl, where, names=names, max_residual=0.4)
    with pytest.raises(ScalingError, match="no data determine the scale of 1 us"):
        fit_scales_to_model(empty, sigmas, amplitudes[0], hkl, where, names=names)
    with pytest.raises(ShapeError, match="not \\(T, H\\)"):
        fit_relative_scales(amplitudes[:, :-1], sigmas, hkl, where)
    with pytest.raises(ParameterError, match="resolution_terms"):
        fit_relative_scales(amplitudes, sigmas, hkl, where, resolution_terms=-1)


def test_one_dataset_alone() -> None:
    where, hkl, amplitudes, sigmas, _, _ = noisy(1, 3)
    found = fit_relative_scales(amplitudes, sigmas, hkl, where)
    np.testing.assert_array_equal(found.values(hkl), 1.0)


def test_anisotropy_is_the_symmetry_s() -> None:
    expected = dict(zip(crystals.GROUPS, (6, 4, 3, 2, 2, 2, 1), strict=True))
    for group, number in expected.items():
        where = crystals.crystal(group)
        matrices = where.symmetric_matrices
        assert len(matrices) == number
        np.testing.assert_allclose(np.einsum("nij,mij->nm", matrices, matrices), np.eye(number), atol=1e-12)
        hkl = crystals.reflections(where, 3.0)
        s = where.scattering_vectors(hkl)
        for operation in where.space_group.operations().sym_ops:
            turned = np.array([operation.apply_to_hkl([int(i) for i in h]) for h in hkl], dtype=np.int32)
            t = where.scattering_vectors(turned)
            np.testing.assert_allclose(
                np.einsum("hi,nij,hj->nh", t, matrices, t),
                np.einsum("hi,nij,hj->nh", s, matrices, s),
                atol=1e-12,
            )


def test_anisotropy_needs_reflections_of_the_whole_cell_of_p1_only() -> None:
    where = crystals.crystal("I 2 3")
    hkl = crystals.reflections(where, 1.6)
    hkl = hkl[hkl[:, 2] == hkl[:, 2].min()]
    amplitudes = np.tile(common_amplitudes(where, hkl, np.random.default_rng(1)), (2, 1))
    found = fit_relative_scales(amplitudes, np.ones_like(amplitudes), hkl, where, resolution_terms=0)
    np.testing.assert_allclose(found.values(hkl), 1.0, rtol=1e-9)
