"""From what was found to the settings of a study, each with its reason."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from petl.config.front_end import RATE
from petl.config.presets import dataset_of
from petl.config.study_file import Sound
from petl.data.corpus import first_few
from petl.data.splits import NAMES
from petl.errors import UserError
from petl.init.groups import Groups, find_groups, folds
from petl.init.look import Found, Measured

LONGEST = 1024
"""Frames: what the published AST was pre-trained with."""
FEW = 1500
"""With fewer clips, a fifth of them would say little: each tests once, in one of the folds."""
FOLDS = 5
ENOUGH = 5
"""Groups. With fewer, a model learns from two or three speakers and knows no others."""
SMALL = "ast-small"
TABLE = {"file": "clips.csv", "path": "file", "label": "label", "group": "group"}
"""That init writes, to keep groups together."""
STEPS, FEWEST_STEPS = 1000, 150
"""How many steps the small AST trains, about, for clips of a second and for long ones."""
MANY_STEPS = 2000
"""The same for other backbones: ESC-50 has 1,900 in the paper."""


@dataclass
class Choice:
    name: str
    corpus: str
    """Its folder's name in the data folder."""
    sound: Sound
    backbone: str
    dataset: dict[str, Any]
    preset: str | None
    epochs: int = 0
    batch: int = 0
    fold: int | Literal["all"] = "all"
    called: str = ""
    """What the study calls the dataset, if not by its name."""
    groups: Groups | None = None
    """Kept together: the study reads a table that has them."""
    reasons: list[tuple[str, str]] = field(default_factory=list)
    """What was found and chosen, and why: a title and a text for each line."""


def choose(
    name: str, found: Found, measured: Measured, backbone: str, sound: Sound, by_group: bool | None
) -> Choice:
    clips = len(found.corpus.clips)
    choice = Choice(name, name, sound, backbone, dict(found.settings), found.preset)
    if name == found.preset:
        choice.called = f"my-{name}"  # else it would be `like` itself
    choice.reasons += [
        ("clips", f"{clips:,} in {found.folder}, layout {found.settings['layout']}"),
        ("classes", _classes(found)),
        *[("labels", "a clip can have several")] * found.corpus.several,
        *_sounds(measured),
    ]
    _split(choice, found, by_group)
    _length(choice, measured)
    _training(choice, clips)
    if backbone == SMALL:
        choice.fold = 0 if choice.dataset["folds"] > 1 else "all"
    return choice


def _classes(found: Found) -> str:
    counts = dict.fromkeys(found.corpus.classes, 0)
    for clip in found.corpus.clips:
        for label in found.corpus.labels_of(clip):
            counts[found.corpus.classes[label]] += 1
    return f"{len(counts)}: {first_few([f'{name} {count:,}' for name, count in counts.items()])}"


def _sounds(measured: Measured) -> Iterable[tuple[str, str]]:
    seconds = measured.seconds
    median = seconds[len(seconds) // 2]
    yield "lengths", f"{seconds[0]:.2f} s to {seconds[-1]:.2f} s, median {median:.2f} s"
    rates = ", ".join(f"{rate:,} Hz" for rate, _ in measured.rates.most_common(3))
    yield "rates", f"{rates}; resampled to {RATE:,} Hz" if measured.rates.keys() - {RATE} else rates
    if (lowest := min(measured.rates)) < RATE:
        yield "", f"nothing above {lowest // 2:,} Hz in some: the AST hears up to {RATE // 2:,} Hz"
    if measured.broken:
        broken = f"{len(measured.broken):,}: {first_few(list(measured.broken), 3)}"
        yield "broken", f"{broken}; repair or remove these files, or training will stop at them"


def _split(choice: Choice, found: Found, by_group: bool | None) -> None:
    dataset, say = choice.dataset, choice.reasons.append
    dataset.setdefault("folds", 1)
    if dataset["split"] not in ("given", "ratio"):
        several = f", {dataset['folds']} folds" if dataset["folds"] > 1 else ""
        say(("split", f"as published{several}"))
        return
    if dataset["split"] == "given":
        folds_of = f"its column of {dataset['folds']} folds"
        say(("split", folds_of if dataset["folds"] > 1 else _parts(found)))
        return
    groups = None if found.corpus.several else find_groups(found.corpus)
    if by_group and groups is None:
        raise UserError(f"{found.folder}: neither names nor folders tell groups; use --no-groups")
    if groups is None:
        _at_random(choice, len(found.corpus.clips))
        say(("", "several clips of a speaker or recording? See Groups in docs/own-sounds.md"))
        return
    enough = len(groups.counts) >= ENOUGH if by_group is None else by_group
    say(("groups", f"{_listed(groups)}, from {groups.where}: speakers or recordings?"))
    if enough and (number := folds(groups, found.corpus)):
        choice.groups = groups
        dataset |= {"layout": "table", "split": "grouped", "folds": number}
        dataset["table"] = TABLE
        say(("split", f"{dataset['folds']} folds, each group in one; --no-groups splits at random"))
        return
    _at_random(choice, len(found.corpus.clips))
    same = "the same groups are in training and in test, which makes the test easier than new ones"
    say(("", f"{same} would; --groups keeps each in one fold"))


def _at_random(choice: Choice, clips: int) -> None:
    if clips < FEW:
        choice.dataset |= {"split": "k-fold", "folds": FOLDS}
        text = f"{FOLDS} random folds: each tests once, validates once and trains otherwise"
    else:
        choice.dataset |= {"ratio": {"validation": 0.1, "test": 0.2}}
        text = "at random: 70 % of each class trains, 10 % validates, 20 % tests"
    choice.reasons.append(("split", text))


def _parts(found: Found) -> str:
    parts = Counter(clip.part for clip in found.corpus.clips)
    counts = ", ".join(f"{name} {parts[name]:,}" for name in NAMES if parts[name])
    if not parts["validation"]:
        return f"{counts}; without validation clips, a tenth of those for training validates"
    return counts if parts["test"] else f"{counts}; the validation clips are tested, too"


def _listed(groups: Groups) -> str:
    return first_few([f"{name} {count:,}" for name, count in groups.counts.most_common()])


def _length(choice: Choice, measured: Measured) -> None:
    """All of a clip for at least 95 of 100 clips, but not more than the AST has seen."""
    seconds = measured.seconds
    if choice.preset:
        choice.dataset["frames"] = dataset_of(choice.preset).frames
        _say_length(choice, seconds)
        return
    most, longest = seconds[math.ceil(0.95 * len(seconds)) - 1], seconds[-1]
    wanted = longest if longest <= 1.25 * most else most
    frames = max(20, min(LONGEST, math.ceil(wanted * 10) * 10))
    choice.dataset["frames"] = frames
    _say_length(choice, seconds)


def _say_length(choice: Choice, seconds: Sequence[float]) -> None:
    frames = choice.dataset["frames"]
    heard = frames / 100 + 0.015  # a frame is 25 ms, one every 10
    cut = sum(second > heard for second in seconds) / len(seconds)
    text = f"{frames} frames, {frames / 100:g} s"
    choice.reasons.append(("input", f"{text}: {cut:.0%} of the clips are longer and are cut"))


def _training(choice: Choice, clips: int) -> None:
    """So many steps that most small tasks are learned, and fewer where a CPU sees long clips."""
    if choice.preset and choice.backbone != SMALL:
        choice.reasons.append(("training", "as published"))
        return
    trains = max(1, round(0.7 * clips))
    choice.batch = 32 if trains >= 200 and choice.backbone != SMALL else 8
    steps = MANY_STEPS
    if choice.backbone == SMALL:
        steps = max(FEWEST_STEPS, min(STEPS, STEPS * 100 // choice.dataset["frames"]))
    choice.epochs = max(5, min(50, round(steps * choice.batch / trains)))
    text = f"{choice.epochs} epochs, batches of {choice.batch}"
    choice.reasons.append(("training", text))
