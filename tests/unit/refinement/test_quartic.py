"""Extrema of the quartic against numpy's roots, and its Taylor expansion."""

import numpy as np
import torch

from torchref_kinetic_plugin.refinement.quartic import Quartic, hermite_nodes, legendre_nodes


def quartics(n=400):
    random = np.random.default_rng(3)
    c = random.normal(size=(4, n)) * np.array([[30.0], [10.0], [4.0], [1.0]])
    c[3] = np.abs(c[3]) + 0.1
    return c, Quartic(*map(torch.from_numpy, c))


def test_extrema_are_the_roots_of_the_derivative():
    c, quartic = quartics()
    low, between, high = (each.numpy() for each in quartic.extrema())
    counts = set()
    for i in range(c.shape[1]):
        roots = np.roots([4 * c[3, i], 3 * c[2, i], 2 * c[1, i], c[0, i]])
        real = np.sort(roots.real[np.abs(roots.imag) < 1e-9])
        counts.add(len(real))
        if len(real) == 1:
            np.testing.assert_allclose([low[i], between[i], high[i]], real[0], rtol=1e-7, atol=1e-9)
        else:
            np.testing.assert_allclose([low[i], between[i], high[i]], real, rtol=1e-6, atol=1e-7)
    assert counts == {1, 3}


def test_derivatives_and_expansion_agree():
    c, quartic = quartics()
    r = torch.linspace(0.2, 3.0, c.shape[1], dtype=torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(quartic.value(r).sum(), r, create_graph=True)
    (second,) = torch.autograd.grad(slope.sum(), r)
    torch.testing.assert_close(quartic.slope(r), slope)
    torch.testing.assert_close(quartic.curvature(r), -second)
    spread = torch.full_like(r, 0.3)
    for x in (-1.5, 0.4, 2.0):
        expanded = sum(term * x**power for power, term in enumerate(quartic.about(r, spread)))
        torch.testing.assert_close(expanded, quartic.value(r + spread * x))


def test_nodes_integrate_polynomials():
    x, powers, weights = hermite_nodes(7, torch.device("cpu"))
    np.testing.assert_allclose(powers[:, 2], x**2)
    # Weights are of the integrand itself, so the Gaussian stands in it.
    moments = (weights[:, None] * torch.from_numpy(np.exp(-(x**2) / 2.0))[:, None] * powers).sum(0)
    np.testing.assert_allclose(moments, np.sqrt(2.0 * np.pi) * np.array([1, 0, 1, 0, 3, 0]), atol=1e-12)
    x, powers, weights = legendre_nodes(24, torch.device("cpu"))
    np.testing.assert_allclose((weights[:, None] * powers).sum(0), [2, 0, 2 / 3, 0, 2 / 5, 0], atol=1e-13)
