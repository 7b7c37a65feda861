"""The likelihood with the common error, against brute force and against what a series was made with."""

import math

import numpy as np
import pytest
import torch
from scipy.special import ive

from torchref_kinetic_plugin.errors import ParameterError, ShapeError
from torchref_kinetic_plugin.refinement.common_error import CommonErrorLikelihood

RANDOM = np.random.default_rng(4)


def draw(n_times, n_reflections, noise, error=0.25, signal=0.1, random=RANDOM):
    """Structure factors, intensities and sigmas of a series with a common error."""

    def normal(*shape):
        return (random.standard_normal(shape) + 1j * random.standard_normal(shape)) / math.sqrt(2)

    reference = normal(n_reflections)
    centric = random.random(n_reflections) < 0.25
    reference = np.where(centric, np.sqrt(2) * reference.real, reference)
    change = signal * normal(n_times, n_reflections)
    change = np.where(centric, np.sqrt(2) * change.real, change)
    change[0] = 0.0
    common = error * normal(n_reflections)
    common = np.where(centric, np.sqrt(2) * common.real, common)
    mixture = reference + change
    sigma = noise * np.sqrt(np.abs(mixture) ** 2 + 0.1) * np.ones((n_times, n_reflections))
    intensity = np.abs(mixture + common) ** 2 + sigma * random.standard_normal(mixture.shape)
    variance = np.full(n_reflections, error**2)
    return [torch.from_numpy(v) for v in (mixture, intensity, sigma, variance, centric)]


def likelihood_of(data):
    _, intensity, sigma, _, centric = data
    return CommonErrorLikelihood(intensity, sigma, centric)


def brute_force(mixture, intensity, sigma, variance, centric, n=801):
    """The integral over E on a fine Cartesian grid, one reflection."""
    span = 7.0 * math.sqrt(variance)
    axis = np.linspace(-span, span, n)
    present = np.isfinite(intensity)
    if centric:
        phase = mixture[0] / abs(mixture[0])
        errors, weights = (
            axis * phase,
            (axis[1] - axis[0]) * np.exp(-(axis**2) / (2 * variance)) / math.sqrt(2 * math.pi * variance),
        )
    else:
        errors = axis[:, None] + 1j * axis[None]
        weights = (axis[1] - axis[0]) ** 2 * np.exp(-(np.abs(errors) ** 2) / variance) / (math.pi * variance)
    log = np.zeros(errors.shape)
    for g, i, s in zip(mixture[present], intensity[present], sigma[present], strict=True):
        log += -0.5 * ((i - np.abs(g + errors) ** 2) / s) ** 2 - math.log(s * math.sqrt(2 * math.pi))
    top = log.max()
    return top + math.log((np.exp(log - top) * weights).sum())


@pytest.mark.parametrize(("noise", "typical", "worst"), [(0.05, 1e-7, 1e-3), (0.2, 1e-5, 5e-3), (0.5, 1e-5, 5e-3)])
def test_agrees_with_brute_force(noise, typical, worst):
    data = draw(4, 40, noise, random=np.random.default_rng(1))
    data[1][2, ::7] = math.nan
    computed = likelihood_of(data)(data[0], data[3]).numpy()
    arrays = [v.numpy() for v in data]
    exact = [
        brute_force(arrays[0][:, h], arrays[1][:, h], arrays[2][:, h], arrays[3][h], arrays[4][h]) for h in range(40)
    ]
    difference = np.abs(computed - exact)
    assert np.median(difference) < typical
    assert difference.max() < worst


def test_there_is_no_step_where_differences_are_many_errors_large():
    """Intensities that all grow a little: ln L follows a straight line. Differences here are a tenth, errors 0.3 %."""
    real = [30.0626, 21.6821, 22.3616, 23.9231, 25.9483, 27.3136, 30.0272]
    imaginary = [12.9753, 9.0409, 9.6741, 11.1111, 12.7519, 12.8671, 12.9739]
    mixture = torch.complex(*(torch.tensor(each, dtype=torch.float64) for each in (real, imaginary))).unsqueeze(1)
    intensity = torch.tensor([6490.74, 5212.84, 5340.0, 5687.56, 6075.91, 6139.99, 6454.22], dtype=torch.float64)
    sigma = torch.tensor([28.3164, 14.1568, 17.7478, 32.1067, 25.4955, 37.9555, 23.2145], dtype=torch.float64)
    variance, centric = torch.tensor([288.879], dtype=torch.float64), torch.tensor([False])
    values = [
        CommonErrorLikelihood((intensity + shift).unsqueeze(1), sigma.unsqueeze(1), centric)(mixture, variance).item()
        for shift in np.linspace(-30.0, 30.0, 25)
    ]
    np.testing.assert_allclose(np.diff(values), -0.00535, atol=4e-4)


def test_data_pull_far_beyond_what_the_prior_expects():
    """The phase of the sum is 150 degrees off the reference's, where the prior alone puts exp(-37)."""
    random = np.random.default_rng(2)
    variance, n_times = 0.1, 20
    change = 0.1 * (random.standard_normal(n_times) + 1j * random.standard_normal(n_times)) / math.sqrt(2)
    mixture = np.r_[1.0, 1.0 + change]
    sigma = np.full(n_times + 1, 0.1)
    intensity = np.abs(mixture + np.exp(2.6j) - 1.0) ** 2 + sigma * random.standard_normal(n_times + 1)
    exact = brute_force(mixture, intensity, sigma, variance, False, n=2001)
    columns = [torch.from_numpy(each).unsqueeze(1) for each in (intensity, sigma, mixture)]
    likelihood = CommonErrorLikelihood(*columns[:2], torch.tensor([False]))
    computed = likelihood(columns[2], torch.tensor([variance], dtype=torch.float64)).item()
    assert computed == pytest.approx(exact, abs=1e-3)


def test_a_missing_observation_counts_nowhere():
    mixture, intensity, sigma, variance, centric = draw(4, 20, 0.1)
    with_gap = intensity.clone()
    with_gap[3] = math.nan
    gap = CommonErrorLikelihood(with_gap, sigma, centric)(mixture, variance)
    without = CommonErrorLikelihood(intensity[:3], sigma[:3], centric)(mixture[:3], variance)
    torch.testing.assert_close(gap, without)


def test_a_reflection_that_no_dataset_has_counts_nothing():
    mixture, intensity, sigma, variance, centric = draw(4, 20, 0.1)
    intensity[:, 3] = math.nan
    value = CommonErrorLikelihood(intensity, sigma, centric)(mixture, variance)
    assert value[3].item() == pytest.approx(0.0, abs=1e-3)
    assert torch.isfinite(value).all()


def test_scale_and_inflation_are_those_of_the_measurement():
    mixture, intensity, sigma, variance, centric = draw(4, 30, 0.1)
    scale = torch.from_numpy(RANDOM.normal(0.0, 0.3, mixture.shape))
    inflation = torch.from_numpy(RANDOM.normal(0.0, 0.3, mixture.shape))
    square = torch.exp(2.0 * scale)
    value = CommonErrorLikelihood(intensity * square, sigma * square, centric)(mixture, variance, scale, inflation)
    plain = CommonErrorLikelihood(intensity, sigma * torch.exp(inflation), centric)(mixture, variance)
    torch.testing.assert_close(value, plain - 2.0 * scale.sum(0))


def test_blocks_change_nothing(monkeypatch):
    data = draw(3, 50, 0.1)
    z = torch.zeros(3, 50, dtype=torch.float64)
    whole = likelihood_of(data).scores(data[0], data[3], z, z)
    monkeypatch.setattr("torchref_kinetic_plugin.refinement.error_integral._BLOCK_NUMBERS", 21 * 7 * 7)
    parts = likelihood_of(data).scores(data[0], data[3], z, z)
    torch.testing.assert_close(parts.log_likelihood, whole.log_likelihood, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(parts.mixture, whole.mixture, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("noise", [0.05, 0.4])
def test_gradcheck(noise):
    mixture, intensity, sigma, variance, centric = draw(3, 12, noise, random=np.random.default_rng(3))
    likelihood = CommonErrorLikelihood(intensity, sigma, centric)
    inputs = (
        torch.view_as_real(mixture).clone().requires_grad_(),
        variance.clone().requires_grad_(),
        torch.full((3, 12), 0.01, dtype=torch.float64, requires_grad=True),
        torch.full((3, 12), -0.1, dtype=torch.float64, requires_grad=True),
    )
    # The nodes follow the parameters, which differences see and the gradient rightly does not.
    assert torch.autograd.gradcheck(
        lambda parts, v, k, a: likelihood(torch.view_as_complex(parts), v, k, a),
        inputs,
        eps=1e-5,
        atol=2e-4,
        rtol=1e-3,
    )


def test_one_dataset_without_noise_is_rice():
    """With one dataset and hardly any noise it is the distribution of amplitudes that refinement programs use."""
    mixture, _, _, variance, centric = draw(1, 40, 0.1)
    amplitude = mixture[0].abs() + 0.1
    sigma = 1e-4 * amplitude**2
    value = CommonErrorLikelihood(amplitude[None] ** 2, sigma[None], centric)(mixture, variance).numpy()
    f, g, v = amplitude.numpy(), mixture[0].abs().numpy(), variance.numpy()
    acentric = np.log(2 * f / v) - (f - g) ** 2 / v + np.log(ive(0, 2 * f * g / v))
    line = 0.5 * np.log(2 / (np.pi * v)) - (f**2 + g**2) / (2 * v) + np.log(np.cosh(f * g / v))
    # A density of intensities, not of amplitudes: dI = 2 F dF.
    expected = np.where(centric.numpy(), line, acentric) - np.log(2 * f)
    np.testing.assert_allclose(value, expected, atol=2e-5)


def test_two_datasets_with_a_large_error_are_a_difference():
    """Where the error is far larger than the noise and smaller than the structure factor, only differences count."""
    random = np.random.default_rng(8)
    reference = 100.0 + np.zeros(200)
    change = random.normal(0.0, 1.0, 200)
    sigma = 0.4
    first, second = 100.3 + sigma * random.standard_normal((2, 200)) + np.stack([0 * change, change])
    amplitudes = torch.from_numpy(np.stack([first, second]))
    likelihood = CommonErrorLikelihood(amplitudes**2, 2.0 * amplitudes * sigma, torch.ones(200, dtype=torch.bool))
    variance = torch.full((200,), 400.0, dtype=torch.float64)

    def values(size):
        mixture = torch.from_numpy(np.stack([reference, reference + size * change])).to(torch.complex128)
        return likelihood(mixture, variance).numpy()

    def difference_term(size):
        return -((second - first - size * change) ** 2) / (4.0 * sigma**2)

    np.testing.assert_allclose(values(1.0) - values(0.4), difference_term(1.0) - difference_term(0.4), atol=0.03)


def test_the_size_of_a_signal_is_found_without_bias_and_with_an_honest_error():
    """The same factor on all differences: the error's phase would shrink it by about a tenth if ignored."""
    random = np.random.default_rng(11)
    pulls, naive = [], []
    for _ in range(10):
        mixture, intensity, sigma, variance, centric = draw(4, 1200, 0.06, random=random)
        likelihood = CommonErrorLikelihood(intensity, sigma, centric)

        def loss(size, mixture=mixture, likelihood=likelihood, variance=variance):
            return -likelihood(mixture[0] + size * (mixture - mixture[0]), variance).sum()

        size = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        for _ in range(4):
            (slope,) = torch.autograd.grad(loss(size), size)
            up, down = (
                torch.autograd.grad(loss(v := (size + h).detach().requires_grad_()), v)[0] for h in (1e-3, -1e-3)
            )
            curvature = (up - down) / 2e-3
            size = (size - slope / curvature).detach().requires_grad_()
        pulls.append((size.item() - 1.0) * math.sqrt(curvature.item()))
        seen = (torch.sqrt(intensity.clamp(min=0)) - torch.sqrt(intensity[0].clamp(min=0)))[1:]
        model = ((mixture - mixture[0]) * mixture[0].conj() / mixture[0].abs()).real[1:]
        naive.append(((seen * model).sum() / (model**2).sum()).item())
    assert abs(np.mean(pulls)) < 3.0 / math.sqrt(len(pulls))
    assert 0.5 < np.std(pulls) < 1.7
    assert np.mean(naive) < 0.97


def test_refused():
    mixture, intensity, sigma, variance, centric = draw(3, 5, 0.1)
    with pytest.raises(ShapeError, match="are not .T, H."):
        CommonErrorLikelihood(intensity, sigma[:2], centric)
    with pytest.raises(ShapeError, match="the 5 reflections"):
        CommonErrorLikelihood(intensity, sigma, centric[:2])
    with pytest.raises(ParameterError, match="a sigma is not above 0"):
        CommonErrorLikelihood(intensity, -sigma, centric)
    likelihood = CommonErrorLikelihood(intensity, sigma, centric)
    with pytest.raises(ParameterError, match="a variance of the common error"):
        likelihood(mixture, 0 * variance)
    with pytest.raises(ShapeError, match="mixture .2, 5. is not .3, 5."):
        likelihood(mixture[:2], variance)
    with pytest.raises(ShapeError, match="error_variance must have the 5"):
        likelihood(mixture, variance[:2])
