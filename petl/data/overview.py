"""What petl data check found, in a few lines: counts, lengths, rates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from rich.table import Table

from petl.data.check import Checked, by_class, by_fold, by_part, differences


def overview(checked: Checked) -> Table:
    table = Table.grid(padding=(0, 2))
    for title, text in [*_clips(checked), *_sound(checked)]:
        table.add_row(title, text)
    return table


def _clips(checked: Checked) -> Iterable[tuple[str, str]]:
    corpus, official = checked.corpus, checked.official
    as_published = official is not None and not differences(corpus, official)
    yield "clips", f"{len(corpus.clips):,}{', as published' if as_published else ''}"
    fold = official.fold if official else "fold"
    counted: dict[str, dict[Any, int]] = {
        "classes": by_class(corpus),
        f"{fold}s": by_fold(corpus),
        "parts": by_part(corpus),
    }
    for title, counts in counted.items():
        if counts:
            yield title, _counts(counts)
    if speakers := {clip.speaker for clip in corpus.clips if clip.speaker}:
        yield "speakers", f"{len(speakers):,}"


def _sound(checked: Checked) -> Iterable[tuple[str, str]]:
    if not checked.sound:
        return
    seconds = sorted(one.seconds for one in checked.sound)
    middle = seconds[len(seconds) // 2]
    yield "lengths", f"{seconds[0]:.2f} s to {seconds[-1]:.2f} s, median {middle:.2f} s"
    cut, padded = checked.cut_and_padded()
    taken = f"{checked.dataset.frames} frames are {checked.dataset.frames / 100:g} s"
    yield "", f"{taken}: {cut:,} longer clips are cut, {padded:,} shorter ones padded"
    yield "rates", _common(f"{one.rate:,} Hz" for one in checked.sound)
    yield "channels", _common(str(one.channels) for one in checked.sound)
    yield "formats", _common(one.kind for one in checked.sound)


def _counts(counts: dict[Any, int]) -> str:
    different = set(counts.values())
    if len(different) == 1:
        return f"{len(counts)}, {different.pop():,} clips each"
    return f"{len(counts)}: " + ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _common(values: Iterable[str]) -> str:
    """The most frequent first, and how many clips have it where not all do."""
    counts = Counter(values).most_common()
    if len(counts) == 1:
        return counts[0][0]
    return ", ".join(f"{value} ({count:,})" for value, count in counts)
