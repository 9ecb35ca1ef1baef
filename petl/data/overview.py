"""What `petl data check` prints about a dataset: counts, lengths, rates, and warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from petl.config.dataset import DRAWN
from petl.config.published import Published
from petl.config.songs import Windows
from petl.data.check import Decoded, Report
from petl.data.corpus import Clip, Corpus, first_few
from petl.data.layouts.deam import id_of, year_of
from petl.data.splits import NAMES
from petl.data.windows import starts
from petl.errors import several

MOST_LISTED, SHOWN = 60, 5
"""With more classes than this, only the most and the least frequent ones are shown."""


def facts(report: Report) -> Iterator[tuple[str, str]]:
    """A title and a text for each line."""
    corpus, published = report.corpus, report.published
    as_published = published is not None and not differences(corpus, published)
    yield "clips", f"{len(corpus.clips):,}{', as published' if as_published else ''}"
    fold = published.fold if published else "fold"
    for title, counts in zip(("classes", f"{fold}s", "parts"), _counts(corpus), strict=True):
        if counts:
            yield title, _listed(counts)
    if corpus.several:
        yield "labels", _labels(corpus)
    if groups := {clip.group for clip in corpus.clips if clip.group}:
        yield "groups", f"{len(groups):,} recordings or speakers"
    if report.dataset.layout == "deam":
        years = Counter(year_of(id_of(clip.file)) for clip in corpus.clips)
        yield "years", _listed(dict(sorted(years.items())))
    yield from _targets(report)
    if not report.intact:
        return
    seconds = sorted(clip.seconds for clip in report.intact)
    median = seconds[len(seconds) // 2]
    yield "lengths", f"{seconds[0]:.2f} s to {seconds[-1]:.2f} s, median {median:.2f} s"
    if report.dataset.windows:
        yield "windows", _windows(report, report.dataset.windows)
    else:
        frames, (cut, padded) = report.dataset.frames, report.cut_and_padded()
        taken = f"{frames} frames are {report.dataset.seconds:g} s"
        yield "", f"{taken}: {cut:,} longer clips are cut, {padded:,} shorter ones padded"
    yield "rates", _most_common(f"{clip.rate:,} Hz" for clip in report.intact)
    yield "channels", _most_common(str(clip.channels) for clip in report.intact)
    yield "formats", _most_common(clip.format for clip in report.intact)


def warnings(report: Report) -> list[str]:
    """What does not stop a run, but a user should know."""
    different = differences(report.corpus, report.published) if report.published else []
    return [
        *different,
        *_few_groups(report),
        *_short(report),
        *_ending_early(report.intact),
        *_silence(report.intact),
        *_copies(report.intact),
    ]


def differences(corpus: Corpus, published: Published) -> list[str]:
    """Each count that is not the published one."""
    classes, folds, parts = _counts(corpus)
    per_class = dict.fromkeys(classes, published.per_class) if published.per_class else {}
    expected = [("clips", len(corpus.clips), published.clips)]
    for name, count in {**per_class, **published.classes}.items():
        expected.append((f"clips of {name}", classes.get(name, 0), count))
    for fold, count in enumerate(published.folds, start=1):
        expected.append((f"clips in {published.fold} {fold}", folds.get(fold, 0), count))
    for part, count in published.parts.items():
        expected.append((f"clips for {part}", parts.get(part, 0), count))
    return [
        f"{count:,} {what}, but the published dataset has {should:,}"
        for what, count, should in expected
        if count != should
    ]


def _counts(corpus: Corpus) -> tuple[dict[str, int], dict[int, int], dict[str, int]]:
    """Clips by class, by fold and by part, as far as the corpus has them."""
    labels = Counter(label for clip in corpus.clips for label in corpus.labels_of(clip))
    folds = Counter(clip.fold for clip in corpus.clips if clip.fold)
    parts = Counter(clip.part for clip in corpus.clips)
    return (
        {name: labels[label] for label, name in enumerate(corpus.classes)},
        dict(sorted(folds.items())),
        {part: parts[part] for part in NAMES if parts[part]},
    )


def _targets(report: Report) -> Iterator[tuple[str, str]]:
    if not report.dataset.targets:
        return
    targets = report.corpus.targets.astype(np.float64)
    for name, values in zip(report.dataset.targets, targets.T, strict=True):
        yield (
            name,
            f"{values.min():g} to {values.max():g}, mean {values.mean():.2f}, "
            f"standard deviation {values.std():.2f}",
        )
    if len(report.dataset.targets) == 2 and targets.std(axis=0).all():
        yield "", f"correlated at {np.corrcoef(targets.T)[0, 1]:.2f}"


def _windows(report: Report, windows: Windows) -> str:
    counts = [len(starts(clip.clip, clip.seconds, windows)) for clip in _long_enough(report)]
    if windows.take == "middle":
        how = "from the middle"
    else:
        how = f"every {windows.hop or windows.length:g} s"
    each = f"{min(counts)} to {max(counts)} of each recording" if counts else "none"
    return f"{sum(counts):,} of {windows.length:g} s, {how}; {each}"


def _long_enough(report: Report) -> list[Decoded]:
    windows = report.dataset.windows
    if windows is None or windows.shorter == "padded":
        return report.intact
    return [clip for clip in report.intact if clip.seconds >= windows.length]


def _few_groups(report: Report) -> list[str]:
    groups, dataset = {clip.group for clip in report.corpus.clips}, report.dataset
    if dataset.split not in DRAWN or len(groups) >= dataset.folds:
        return []
    return [
        f"{several(len(groups), 'group')} for {dataset.folds} folds: runs refuse them; "
        f"set dataset.folds to at most {len(groups)}"
    ]


def _short(report: Report) -> list[str]:
    if not (short := len(report.intact) - len(_long_enough(report))):
        return []
    return [
        f"{short:,} of {len(report.intact):,} recordings are shorter than a window: runs refuse "
        "them, unless dataset.windows.shorter is padded"
    ]


def _ending_early(clips: list[Decoded]) -> list[str]:
    early = [
        f"{one.clip.file} ({one.seconds:.1f} of {one.announced / one.rate:.1f} s)"
        for one in clips
        if one.ends_early
    ]
    count = f"{len(early):,} of {len(clips):,} clips"
    return [f"{count} end before the length in their header: {first_few(early)}"] if early else []


def _silence(clips: list[Decoded]) -> list[str]:
    silent = [one.clip.file for one in clips if one.is_silent]
    count = f"{len(silent):,} of {len(clips):,} clips"
    return [f"{count} are digital silence: {first_few(silent)}"] if silent else []


def _copies(clips: list[Decoded]) -> list[str]:
    """The same bytes under two names: harmless, unless one trains and the other tests."""
    first: dict[bytes, Clip] = {}
    pairs = [
        (original, one.clip)
        for one in clips
        if (original := first.setdefault(one.digest, one.clip)) is not one.clip
    ]
    if not pairs:
        return []
    labels = sum((a.label, a.labels, a.targets) != (b.label, b.labels, b.targets) for a, b in pairs)
    splits = sum((a.fold, a.part) != (b.fold, b.part) for a, b in pairs)
    examples = first_few([f"{b.file} = {a.file}" for a, b in pairs], 3)
    return [
        f"{len(pairs):,} of {len(clips):,} clips are copies, {labels:,} with another label, "
        f"{splits:,} in another fold or part: {examples}"
    ]


def _listed(counts: Mapping[Any, int]) -> str:
    different = set(counts.values())
    if len(different) == 1:
        return f"{len(counts)}, {different.pop():,} clips each"
    texts = [f"{name} {count:,}" for name, count in counts.items()]
    if len(counts) > MOST_LISTED:
        by_count = sorted(counts, key=lambda name: -counts[name])
        texts = [f"{name} {counts[name]:,}" for name in by_count]
        texts[SHOWN:-SHOWN] = ["..."]
    return f"{len(counts)}: {', '.join(texts)}"


def _labels(corpus: Corpus) -> str:
    counts = [len(clip.labels) for clip in corpus.clips]
    mean = f"{sum(counts) / len(counts):.1f} for each clip, {min(counts)} to {max(counts)}"
    return mean + (f"; {counts.count(0):,} clips have none" if 0 in counts else "")


def _most_common(values: Iterable[str]) -> str:
    """The most common first, with their counts where there are several."""
    counts = Counter(values).most_common()
    if len(counts) == 1:
        return counts[0][0]
    return ", ".join(f"{value} ({count:,})" for value, count in counts)
