"""How near made clips are to real ones. Each clip is a point; all is computed in float64.

kernel distance     100 x the squared maximum mean discrepancy, without bias, under a Gaussian
                    kernel as wide as the median distance between real points
Frechet distance    between the Gaussians with the two sets' means and covariances
density, coverage   Naeem et al. 2020, from the balls around real points that reach their k-th
                    nearest real neighbour
nearest             the distance to the nearest training clip, against that of held-out real clips
concordance         Lin's, with population moments
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

NEIGHBOURS = 5
SCALE = 100.0
COPIES = 0.05
"""The share of held-out real clips that are as near to a training clip as a copy."""
COLUMNS = 4096
"""Coordinates of which float64 copies are in memory at a time."""
LARGEST = 10_000
"""Rows of the largest matrix that is built: 800 MB."""
SIZES = (1.0, 0.75, 0.5)
"""Of the subsets from which the Frechet distance is extrapolated, as shares of the whole."""


@dataclass(frozen=True)
class Pairs:
    """Squared distances: of real points, of real (rows) to made ones, of made ones."""

    real: np.ndarray
    across: np.ndarray
    made: np.ndarray

    @classmethod
    def of(cls, real: np.ndarray, made: np.ndarray) -> Pairs:
        between = squared_distances
        return cls(between(real, real), between(real, made), between(made, made))

    def part(self, real: np.ndarray, made: np.ndarray) -> Pairs:
        """Of these points alone."""
        ways = (self.real, real, real), (self.across, real, made), (self.made, made, made)
        return Pairs(*(matrix[np.ix_(rows, columns)] for matrix, rows, columns in ways))


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    centre = y.mean(axis=0, dtype=np.float64)
    x, y = x - centre, y - centre
    squares = np.square(x).sum(axis=1)[:, None] + np.square(y).sum(axis=1) - 2 * x @ y.T
    return np.maximum(squares, 0)


def bandwidth(pairs: Pairs) -> float:
    """The median distance between two real points; NaN for a single one."""
    distances = np.sqrt(pairs.real[~np.eye(len(pairs.real), dtype=bool)])
    return float(np.median(distances)) if len(distances) else np.nan


def kernel_distance(pairs: Pairs, width: float) -> float:
    """Below 0 where chance makes the sets nearer to each other than each is to itself."""
    n, m = pairs.across.shape
    if min(n, m) < 2 or not width > 0:
        return np.nan
    real, across, made = (
        np.exp(squares / (-2 * width**2)) for squares in (pairs.real, pairs.across, pairs.made)
    )
    within = (real.sum() - np.trace(real)) / (n * (n - 1))
    within += (made.sum() - np.trace(made)) / (m * (m - 1))
    return float(SCALE * (within - 2 * across.mean()))


def density_coverage(pairs: Pairs, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """NaN where there are too few real points for so many neighbours."""
    n, m = pairs.across.shape
    if n <= neighbours or not m:
        return np.nan, np.nan
    balls = np.partition(pairs.real, neighbours, axis=1)[:, neighbours]  # the first is the point
    inside = pairs.across <= balls[:, None]
    return float(inside.sum() / (neighbours * m)), float(inside.any(axis=1).mean())


def frechet_distance(real: np.ndarray, made: np.ndarray) -> float:
    """Without a covariance, so it also holds for more dimensions than clips, and for millions.

    The trace of (S1 S2)^(1/2) is the sum of the singular values of A B', where A' A and B' B are
    the covariances S1 and S2. A and B are the centred points, or the triangles of their QR
    decompositions where there are fewer dimensions than points. Covariances are divided by n - 1.
    """
    (n, dimensions), m = real.shape, len(made)
    if min(n, m) < 2:
        return np.nan
    if max(n, m) > LARGEST:
        raise ValueError(f"{max(n, m):,} clips: a matrix of them has over {LARGEST:,} rows")
    few = dimensions <= min(n, m, COLUMNS)
    apart = spread = 0.0
    cross: np.ndarray | float = 0.0
    for columns in _columns(dimensions):
        x, y = (points[:, columns].astype(np.float64) for points in (real, made))
        means = x.mean(axis=0), y.mean(axis=0)
        x, y = (x - means[0]) / np.sqrt(n - 1), (y - means[1]) / np.sqrt(m - 1)
        apart += float(np.square(means[0] - means[1]).sum())
        spread += float(np.square(x).sum() + np.square(y).sum())
        if few:
            x, y = np.linalg.qr(x, mode="r"), np.linalg.qr(y, mode="r")
        cross = cross + x @ y.T
    trace = float(np.linalg.svd(cross, compute_uv=False).sum())
    return max(apart + spread - 2 * trace, 0.0)


def frechet_at_infinity(
    real: np.ndarray,
    made: np.ndarray,
    draws: np.random.Generator,
    repeats: int = 1,
    known: float | None = None,
) -> float:
    """Where a line through Frechet distances of subsets, over 1 / their size, meets 0.

    As FAD-infinity: the bias of the Frechet distance is about linear in 1 / clips. `known` is the
    distance of all.
    """
    inverse, distances = [1.0], [frechet_distance(real, made) if known is None else known]
    for share in SIZES[1:]:
        for _ in range(repeats):
            parts = [
                points[draws.permutation(len(points))[: round(share * len(points))]]
                for points in (real, made)
            ]
            inverse.append(1 / share)
            distances.append(frechet_distance(*parts))
    if not np.isfinite(distances).all():
        return np.nan
    weights = np.array([np.sqrt(repeats)] + [1.0] * (len(inverse) - 1))
    return float(np.polyfit(inverse, distances, 1, w=weights)[1])


def nearest(points: np.ndarray, training: np.ndarray) -> np.ndarray:
    """The distance of each point to the nearest training clip."""
    rows = max(1, LARGEST * 1000 // max(len(training), 1))
    pieces = [points[start : start + rows] for start in range(0, len(points), rows)]
    found = [squared_distances(piece, training).min(axis=1) for piece in pieces]
    return np.sqrt(np.concatenate(found))


def nearest_ratio(made: np.ndarray, held_out: np.ndarray) -> float:
    """Of two sets of `nearest`, median against median: 1 as for real clips, near 0 for copies."""
    middle = float(np.median(held_out))
    return float(np.median(made)) / middle if middle > 0 else np.nan


def copies(made: np.ndarray, held_out: np.ndarray) -> float:
    """The share of made clips that are nearer to a training clip than 95 % of held-out clips."""
    return float((made < np.quantile(held_out, COPIES)).mean())


def concordance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of each column; 0 where one side is constant."""
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    covariance = ((x - x_mean) * (y - y_mean)).mean(axis=0)
    spread = x.var(axis=0) + y.var(axis=0) + np.square(x_mean - y_mean)
    constant = (x == x[0]).all(axis=0) | (y == y[0]).all(axis=0)
    return np.where(constant, 0.0, 2 * covariance / np.where(constant, 1.0, spread))


def compact(*sets: np.ndarray) -> list[np.ndarray]:
    """The same points with as many coordinates as there are points, at the same distances.

    From their inner products about the common mean, in little memory.
    """
    clips = sum(map(len, sets))
    if clips > LARGEST:
        raise ValueError(f"{clips:,} clips: a matrix of them has over {LARGEST:,} rows")
    products = np.zeros((clips, clips))
    for columns in _columns(sets[0].shape[1]):
        x = np.concatenate([points[:, columns] for points in sets]).astype(np.float64)
        x -= x.mean(axis=0)
        products += x @ x.T
    values, vectors = np.linalg.eigh(products)
    coordinates = vectors * np.sqrt(np.maximum(values, 0))
    return np.split(coordinates, np.cumsum([len(points) for points in sets])[:-1])


def _columns(dimensions: int) -> Iterator[slice]:
    return (slice(start, start + COLUMNS) for start in range(0, dimensions, COLUMNS))
