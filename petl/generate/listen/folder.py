"""A folder to listen to: synthetic clips, real ones of the nearest conditions, and a page."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from petl.config.dataset import Dataset
from petl.data.corpus import Clip
from petl.data.decode import read
from petl.data.features import Recipe
from petl.data.load import read as read_corpus
from petl.data.load import targets_of
from petl.data.splits import split
from petl.errors import UserError
from petl.generate import conditions
from petl.generate.fitted import Fitted, fitted_on
from petl.generate.listen import pictures
from petl.generate.listen.asked import Asked, Conditions
from petl.generate.listen.page import Page, Player, Section
from petl.generate.listen.sound import Back, wav
from petl.places import Places
from petl.terminal import no_formula, printable

PLANE = 6
"""Values of each target in the picture of the plane."""
COLUMNS = ("file", "kind", "condition", "source", "seed", "error_db")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Training:
    """The clips that a generator was fitted to, and their conditions."""

    clips: Sequence[Clip]
    known: torch.Tensor

    @classmethod
    def of(cls, fitted: Fitted, places: Places) -> Training:
        dataset, task = fitted.task.dataset, fitted.task
        corpus = read_corpus(dataset, places)
        chosen = split(corpus, dataset, task.fold, task.seed).train
        clips = [corpus.clips[i] for i in chosen]
        names = conditions.names(dataset, corpus.classes)
        if (fitted_on(dataset, [clip.name for clip in clips]), names) != (
            fitted.fitted_on,
            fitted.names,
        ):
            raise UserError(f"{corpus.folder}: not the clips that the generator was fitted to")
        return cls(clips, conditions.vectors(dataset, targets_of(corpus, dataset)[chosen]))

    def nearest(self, asked: Asked, number: int) -> list[int]:
        """The clips whose conditions are nearest, in file order among equals."""
        away = (self.known - torch.tensor(asked.values)).square().sum(dim=1)
        return torch.argsort(away, stable=True)[:number].tolist()

    def condition(self, clip: int, of: Conditions) -> str:
        return of.of(self.known[clip].tolist()).title


@dataclass
class Folder:
    """What `petl generate` writes, by name."""

    fitted: Fitted
    of: Conditions
    seed: int
    files: dict[str, bytes] = field(default_factory=dict)
    rows: list[Sequence[object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.back = Back(self.dataset)

    @property
    def dataset(self) -> Dataset:
        return self.fitted.task.dataset

    def fill(
        self,
        asked: Sequence[Asked],
        each: int,
        training: Training | None,
        real: int,
        grid: bool,
        progress: Progress,
    ) -> None:
        """`each`: synthetic clips of a condition; `real`: real ones beside them."""
        wanted = torch.tensor([one.values for one in asked for _ in range(each)])
        made = self.fitted.sample(wanted, self.seed).numpy()
        beside = [training.nearest(one, real) if training else [] for one in asked]
        heard = {i: self._heard(training.clips[i]) for few in beside for i in few if training}
        limits = pictures.limits_of(np.stack([*made, *(raw for _, raw in heard.values())]))
        total, sections, players = len(made) + len(heard), [], {}
        for number, (i, (sound, raw)) in enumerate(heard.items(), 1):
            assert training is not None
            players[i] = list(self._real(number, training, i, sound, raw, limits))
            progress(number, total)
        for k, one in enumerate(asked):
            synthetic = []
            for number in range(k * each, (k + 1) * each):
                synthetic.append(self._synthetic(number, one, made[number], limits))
                progress(len(heard) + number + 1, total)
            shown = [player for i in beside[k] for player in players[i]]
            sections.append(Section(one.title, synthetic, shown))
        plane = self._plane(limits) if grid else ""
        self.files["clips.csv"] = _csv([COLUMNS, *self.rows])
        self.files["index.html"] = self._page(sections, plane, bool(heard)).html()

    def _synthetic(
        self, number: int, asked: Asked, raw: np.ndarray, limits: pictures.Limits
    ) -> Player:
        run_id = self.fitted.task.run_id
        name, sound = f"synthetic-{number + 1:03d}", self.back.sound(raw, self.seed)
        comment = f"synthetic; generator {run_id}, seed {self.seed}, condition {asked.title}"
        self._add(name, "synthetic", sound, raw, limits, comment)
        error = self.back.error(raw, sound)
        self.rows.append((f"{name}.wav", "synthetic", asked.title, run_id, self.seed, _2(error)))
        return Player(name, asked.title, f"{name}; {_spectral(error)}")

    def _real(
        self,
        number: int,
        training: Training,
        clip: int,
        sound: np.ndarray,
        raw: np.ndarray,
        limits: pictures.Limits,
    ) -> Iterator[Player]:
        """The clip, and what its spectrogram sounds like."""
        source, condition = training.clips[clip].name, training.condition(clip, self.of)
        name, rebuilt = f"real-{number:03d}", self.back.sound(raw, self.seed)
        error = self.back.error(raw, rebuilt)
        self._add(name, "real", sound, raw, limits, f"real clip {source}, condition {condition}")
        self.rows.append((f"{name}.wav", "real", condition, source, "", ""))
        yield Player(name, f"Real: {condition}", source)
        again = self.back.spectrogram(rebuilt)
        comment = f"rebuilt from the spectrogram of {source}, seed {self.seed}"
        self._add(f"{name}-rebuilt", "rebuilt", rebuilt, again, limits, comment)
        row = (f"{name}-rebuilt.wav", "rebuilt", condition, source, self.seed, _2(error))
        self.rows.append(row)
        yield Player(f"{name}-rebuilt", "Its round trip", _spectral(error))

    def _add(
        self,
        name: str,
        kind: str,
        sound: np.ndarray,
        raw: np.ndarray,
        limits: pictures.Limits,
        comment: str,
    ) -> None:
        self.files[f"{name}.wav"] = wav(sound, self.back.rate, f"{kind} clip", comment)
        self.files[f"{name}.png"] = pictures.clip(raw, self.dataset, limits)

    def _heard(self, clip: Clip) -> tuple[np.ndarray, np.ndarray]:
        """The waveform of a real clip, as long as its spectrogram, and the spectrogram."""
        recipe = Recipe.of(self.dataset, "spectrogram")
        rate = recipe.rate
        seconds = recipe.samples / rate if clip.seconds is None else clip.seconds
        whole = read(clip.path, recipe.channel, round((clip.start + seconds) * rate), rate)
        sound = whole[round(clip.start * rate) :][: recipe.samples]
        return sound, recipe.input(sound)

    def _plane(self, limits: pictures.Limits) -> str:
        """Two targets over the training clips' range, all from the same noise."""
        (across, low_high), (up, ends) = self.of.ranges.items()
        xs, ys = np.linspace(*low_high, PLANE), np.linspace(*ends, PLANE)[::-1]
        rows = []
        for y in ys:
            made = [self.fitted.sample(torch.tensor([[x, y]]).float(), self.seed) for x in xs]
            rows.append(pictures.small(torch.cat(made).numpy(), limits))
        titles = ([self.of.shown(value) for value in values] for values in (ys, xs))
        self.files["plane.png"] = pictures.grid(rows, *titles, across, up)
        return (
            f"{across} and {up} over the training clips' range, from the same noise; real clips "
            "may be rare in the corners"
        )

    def _page(self, sections: Sequence[Section], plane: str, has_real: bool) -> Page:
        task = self.fitted.task
        facts = [
            ("Generator", f"{task.names.method_label} (run {task.run_id})"),
            ("Study", task.names.study),
            ("Fitted to", f"{task.names.dataset_label}, fold {task.fold}, seed {task.seed}"),
            ("Seed of these clips", str(self.seed)),
            ("Sound", f"Griffin-Lim from {self.dataset.bins} mel bins, {self.back.rate} Hz"),
        ]
        notes = [
            "The way back to sound is not perfect: listen to what it does to real clips before "
            "you judge synthetic ones. Errors are mean differences over the bins, to "
            "60 dB below a clip's loudest one."
        ]
        if not self.back.knows_level:
            notes.append("These spectrograms do not say how loud a clip is: all are equally loud.")
        if not has_real:
            notes.append("There are no real clips on this page.")
        return Page(f"Synthetic clips of {task.names.dataset_label}", facts, notes, sections, plane)


def _2(error: float) -> str:
    return "" if math.isnan(error) else f"{error:.2f}"


def _spectral(error: float) -> str:
    return "no sound, only padding" if math.isnan(error) else f"spectral error {error:.2f} dB"


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    safe = ([no_formula(printable(str(cell))) for cell in row] for row in rows)
    csv.writer(text, lineterminator="\n").writerows(safe)
    return text.getvalue().encode(errors="backslashreplace")
