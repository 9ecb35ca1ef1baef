"""The score of 0 to 100 that the released music emotion notebooks give generated spectrograms.

    0.4 max(0, 100 - 10 F) + 0.4 x 100 C + 0.2 max(0, 100 - 100 |1 - S|)

F is the Frechet distance between whole spectrograms as points, C the correlation of the mean
spectra, S how much made clips change from frame to frame, as a share of what real ones do. F grows
with the number of values in a clip, so the first term is 0 for all but the smallest spectrograms.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from petl.generate.measures.distances import compact, frechet_distance


@dataclass(frozen=True)
class Summary:
    """What the score reads of clips, a row for each."""

    points: np.ndarray
    spectra: np.ndarray
    """Means over time, (clips, bins)."""
    squares: np.ndarray
    steps: np.ndarray
    """Mean absolute difference of neighbouring frames."""
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, clips: np.ndarray, points: np.ndarray) -> Summary:
        """Of spectrograms (clips, frames, bins); `points` are the same ones or `compact`."""
        clips = clips.astype(np.float64)
        return cls(
            points=points,
            spectra=clips.mean(axis=1),
            squares=np.square(clips).mean(axis=(1, 2)),
            steps=np.abs(np.diff(clips, axis=1)).sum(axis=(1, 2)) / clips[0].size,
            low=clips.min(axis=(1, 2)),
            high=clips.max(axis=(1, 2)),
        )

    def part(self, clips: np.ndarray) -> Summary:
        return Summary(*(getattr(self, field.name)[clips] for field in fields(self)))

    @property
    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation of all values."""
        mean = float(self.spectra.mean())
        return mean, float(np.sqrt(max(self.squares.mean() - mean**2, 0.0)))

    @property
    def width(self) -> float:
        return float(self.high.max() - self.low.min())


def summaries(*sets: np.ndarray) -> list[Summary]:
    """Of sets of spectrograms that are compared with each other."""
    points = compact(*(clips.reshape(len(clips), -1) for clips in sets))
    return [Summary.of(*pair) for pair in zip(sets, points, strict=True)]


def released_score(real: Summary, made: Summary) -> dict[str, float]:
    """The score and its parts; NaN where a part is not defined."""
    (real_mean, real_std), (mean, std) = real.moments, made.moments
    with np.errstate(divide="ignore", invalid="ignore"):
        spectra = real.spectra.mean(axis=0), made.spectra.mean(axis=0)
        correlation = float(np.corrcoef(*spectra)[0, 1])
        smoothness = float(made.steps.mean() / real.steps.mean())
    frechet = frechet_distance(real.points, made.points)
    return {
        "score_0_100": combined(frechet, correlation, smoothness),
        "frechet_flat": frechet,
        "frequency_correlation": correlation,
        "smoothness_ratio": smoothness,
        "mean_difference": abs(real_mean - mean),
        "std_difference": abs(real_std - std),
        "range_difference": abs(real.width - made.width),
    }


def combined(frechet: float, correlation: float, smoothness: float) -> float:
    shares = np.maximum([100 - 10 * frechet, 100 - 100 * abs(1 - smoothness)], 0)
    return float(0.4 * shares[0] + 0.4 * 100 * correlation + 0.2 * shares[1])
