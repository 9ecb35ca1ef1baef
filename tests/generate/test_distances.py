"""Each measure against a closed form or a second way to compute it."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
import scipy.linalg
import torch
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import NearestNeighbors

from petl.generate.measures import distances
from petl.generate.measures.distances import Pairs
from petl.train.regression import concordance


def points(number: int, dimensions: int, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(number, dimensions)) + shift


def exactly(mean: np.ndarray, covariance: np.ndarray, number: int) -> np.ndarray:
    """Points that have this very mean and covariance."""
    raw = points(number, len(mean))
    raw -= raw.mean(axis=0)
    whitened = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T))).T
    return whitened @ np.linalg.cholesky(covariance).T + mean


def test_the_frechet_distance_of_two_gaussians_is_the_closed_form() -> None:
    """Of commuting covariances: |m1 - m2|^2 + the squared differences of their roots."""
    turn = np.linalg.qr(points(4, 4))[0]
    one, other = np.array([1.0, 4.0, 9.0, 0.25]), np.array([4.0, 1.0, 16.0, 1.0])
    x = exactly(np.zeros(4), turn @ np.diag(one) @ turn.T, 30)
    y = exactly(np.array([1.0, 2.0, 0.0, -1.0]), turn @ np.diag(other) @ turn.T, 50)
    expected = 6.0 + np.square(np.sqrt(one) - np.sqrt(other)).sum()
    assert distances.frechet_distance(x, y) == pytest.approx(expected, rel=1e-10)
    assert distances.frechet_distance(x, x) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("sizes", [(40, 30, 6), (12, 9, 50), (40, 10, 20)])
def test_the_frechet_distance_is_the_one_with_a_matrix_root(sizes) -> None:
    """Also with fewer clips than dimensions, where that root is of a singular matrix."""
    n, m, dimensions = sizes
    x, y = points(n, dimensions), points(m, dimensions, 1, 0.3) * 1.5
    covariances = np.cov(x.T), np.cov(y.T)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    apart = np.square(x.mean(axis=0) - y.mean(axis=0)).sum()
    expected = apart + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert distances.frechet_distance(x, y) == pytest.approx(expected, rel=1e-5)


def test_whole_spectrograms_need_no_covariance(monkeypatch) -> None:
    """A covariance of 128 x 1292 values would have 219 GB; each of these sets has 7 MB."""
    draw = np.random.default_rng(0)
    x, y = (draw.standard_normal((10, 128 * 1292), dtype=np.float32) for _ in range(2))
    tracemalloc.start()
    found = distances.frechet_distance(x, y + np.float32(0.5))
    coordinates = distances.compact(x, y + np.float32(0.5))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6
    assert found == pytest.approx(distances.frechet_distance(*coordinates), rel=1e-6)
    a, b = (z - z.mean(axis=0, dtype=np.float64) for z in (x, y))
    eigenvalues = np.linalg.eigvals((a @ b.T) @ (b @ a.T)).real  # of the product of covariances
    trace = np.sqrt(np.maximum(eigenvalues, 0)).sum() / 9
    apart = np.square((y + 0.5).mean(axis=0) - x.mean(axis=0)).sum(dtype=np.float64)
    expected = apart + (np.square(a).sum() + np.square(b).sum()) / 9 - 2 * trace
    assert found == pytest.approx(expected, rel=1e-5)
    monkeypatch.setattr(distances, "LARGEST", 9)
    for refused in (distances.frechet_distance, distances.compact):
        with pytest.raises(ValueError, match="a matrix of them has over 9 rows"):
            refused(x, y)


def test_the_extrapolated_frechet_distance_of_equal_gaussians_is_nearer_to_zero() -> None:
    draws = np.random.default_rng(0)
    plain, extrapolated = [], []
    for seed in range(20):
        x, y = points(60, 8, seed), points(60, 8, 1000 + seed)
        plain.append(distances.frechet_distance(x, y))
        extrapolated.append(distances.frechet_at_infinity(x, y, draws, repeats=3))
    assert np.mean(plain) > 0.6
    assert abs(np.mean(extrapolated)) < 0.15


def test_a_line_over_one_by_n_is_followed_to_its_end(monkeypatch) -> None:
    monkeypatch.setattr(distances, "frechet_distance", lambda x, y: 3 + 70 / len(x))
    found = distances.frechet_at_infinity(points(100, 1), points(100, 1), np.random.default_rng(0))
    assert found == pytest.approx(3)


def test_the_kernel_distance_is_that_of_loops_over_pairs() -> None:
    x, y = points(9, 3), points(7, 3, 1, 0.5)
    pairs = Pairs.of(x, y)
    apart = [math.dist(x[i], x[j]) for i in range(9) for j in range(9) if i != j]
    width = distances.bandwidth(pairs)
    assert width == pytest.approx(np.median(apart))

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return math.exp(-(math.dist(a, b) ** 2) / (2 * width**2))

    within = sum(kernel(x[i], x[j]) for i in range(9) for j in range(9) if i != j) / 72
    within += sum(kernel(y[i], y[j]) for i in range(7) for j in range(7) if i != j) / 42
    across = sum(kernel(a, b) for a in x for b in y) / 63
    expected = 100 * (within - 2 * across)
    assert distances.kernel_distance(pairs, width) == pytest.approx(expected, rel=1e-9)
    known = rbf_kernel(x, y, gamma=1 / (2 * width**2)).mean()
    assert known == pytest.approx(across)


def test_the_kernel_distance_of_two_gaussians_is_the_closed_form_and_has_no_bias() -> None:
    """E k(x, y) = (w^2 / (w^2 + 2))^(d/2) exp(-|m|^2 / (2 (w^2 + 2))) for unit Gaussians."""
    width, dimensions, shift = 2.0, 3, 0.8
    spread = (width**2 / (width**2 + 2)) ** (dimensions / 2)
    apart = dimensions * shift**2
    expected = 200 * spread * (1 - math.exp(-apart / (2 * (width**2 + 2))))
    found = [
        distances.kernel_distance(
            Pairs.of(points(20, 3, seed), points(20, 3, 5000 + seed, shift)), width
        )
        for seed in range(300)
    ]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - expected) < 3 * error < 0.2 * expected


def test_density_and_coverage_are_those_of_brute_force() -> None:
    real, made, k = points(30, 4), points(20, 4, 1, 0.4), 3
    balls = NearestNeighbors(n_neighbors=k + 1).fit(real).kneighbors(real)[0][:, -1]
    inside = [[math.dist(r, m) <= ball for m in made] for r, ball in zip(real, balls, strict=True)]
    density, coverage = distances.density_coverage(Pairs.of(real, made), k)
    assert density == pytest.approx(sum(map(sum, inside)) / (k * 20))
    assert coverage == pytest.approx(sum(map(any, inside)) / 30)


def test_density_and_coverage_of_the_same_distribution_are_as_in_theory() -> None:
    """Naeem et al.: 1 for density; 1 - the chance that all of the nearest k are real ones."""
    n, m, k = 40, 30, 5
    found = [
        distances.density_coverage(Pairs.of(points(n, 6, seed), points(m, 6, 900 + seed)), k)
        for seed in range(100)
    ]
    missed = math.prod((n - 1 - i) / (m + n - 1 - i) for i in range(k))
    density, coverage = np.mean(found, axis=0)
    assert density == pytest.approx(1, abs=0.06)
    assert coverage == pytest.approx(1 - missed, abs=0.01)


def test_copies_of_training_clips_are_found_and_new_clips_are_not() -> None:
    training, held_out, new = points(100, 5), points(80, 5, 1), points(200, 5, 2)
    copied = new.copy()
    copied[:60] = training[:60] + 1e-3
    near = distances.nearest(held_out, training)
    assert near[3] == pytest.approx(min(math.dist(held_out[3], clip) for clip in training))
    far, close = distances.nearest(new, training), distances.nearest(copied, training)
    assert distances.nearest_ratio(far, near) == pytest.approx(1, abs=0.1)
    assert distances.nearest_ratio(close[:60], near) < 0.01
    assert distances.copies(far, near) == pytest.approx(0.05, abs=0.05)
    assert 0.3 <= distances.copies(close, near) < 0.4


def test_the_concordance_is_that_of_regressions() -> None:
    x, y = points(20, 3), points(20, 3, 1)
    y[:, 0] += x[:, 0]
    y[:, 2] = 1.0
    known = concordance(torch.from_numpy(x[:, :2]), torch.from_numpy(y[:, :2])).tolist()
    assert distances.concordance(x, y).tolist() == pytest.approx([*known, 0.0])


@pytest.mark.parametrize("sizes", [(0, 5), (1, 5), (5, 1), (1, 1)])
def test_what_so_few_points_do_not_tell_is_no_number(sizes) -> None:
    x, y = points(sizes[0], 3), points(sizes[1], 3)
    assert math.isnan(distances.frechet_distance(x, y))
    if min(sizes):
        pairs = Pairs.of(x, y)
        assert math.isnan(distances.kernel_distance(pairs, distances.bandwidth(pairs)))
        assert math.isnan(distances.density_coverage(pairs)[0])
