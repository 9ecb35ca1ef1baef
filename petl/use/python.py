"""Models for Python code: `petl.load` of a trained run, and `petl.build` of a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, overload

from torch import Tensor, nn

from petl import config
from petl.backbones.families import family_of
from petl.config.python import Profile, model_task
from petl.config.study import PRESETS
from petl.config.yamlfile import read_yaml
from petl.data.features import Recipe
from petl.data.sounds import Extractor, Sounds
from petl.errors import UserError
from petl.model.build import Model, build_model
from petl.places import Places
from petl.runs.choose import choose
from petl.use.load import LoadedRun, load_run
from petl.use.predict.combine import Pool
from petl.use.predict.ensemble import Ensemble
from petl.use.predict.predict import How, predict, ranked

Answer: TypeAlias = "dict[str, float]"
"""By class, or by target."""


@dataclass(frozen=True)
class Trained:
    """A trained run. Called with sounds, it gives logits, or the numbers of a regression."""

    run: LoadedRun

    @property
    def classes(self) -> tuple[str, ...]:
        """By label; of a regression, the names of its targets."""
        return self.run.names

    @property
    def model(self) -> Model:
        """The network itself, in eval mode, on the GPU if there is one."""
        return self.run.model

    @property
    def extractor(self) -> Extractor:
        task = self.run.task
        return Extractor(Recipe.of(task.dataset, task.backbone.form), self.run.statistics)

    def __call__(self, sounds: Sounds, rate: int | None = None) -> Tensor:
        """(outputs,) for one sound, (sounds, outputs) for a list.

        A sound is a file or a waveform with its sampling rate. As in training, the model hears its
        beginning, `dataset.frames` x 10 ms; `predict` hears all of it.
        """
        raw = self.extractor.raw(sounds, rate)
        several = isinstance(sounds, list | tuple)
        outputs = self.run.outputs(raw if several else raw[None])
        answers = outputs if self.run.classes else self.run.answers(outputs)
        return answers if several else answers[0]

    @overload
    def predict(
        self, files: str | Path, *, hop: float | None = ..., pool: Pool = ...
    ) -> Answer: ...
    @overload
    def predict(
        self, files: Sequence[str | Path], *, hop: float | None = ..., pool: Pool = ...
    ) -> list[Answer]: ...

    def predict(
        self,
        files: str | Path | Sequence[str | Path],
        *,
        hop: float | None = None,
        pool: Pool = "mean",
    ) -> Answer | list[Answer]:
        """The probability of each class, the most probable first; of a regression, its numbers.

        All of a file is heard, in windows as long as in training that start every `hop` seconds;
        `pool` makes one answer of them, as in `petl predict`. A list of files gives a list.
        """
        one = isinstance(files, str | Path)
        paths = [Path(file) for file in ([files] if one else files)]
        ensemble = Ensemble((self.run,))
        answers = []
        for prediction in predict(ensemble, paths, How(hop, pool)):
            if prediction.error:
                raise UserError(f"{prediction.file}: {prediction.error}")
            answers.append(dict(ranked(ensemble, prediction.values, len(ensemble.names))))
        return answers[0] if one else answers


def load(run: str | Path, *, runs: str | Path | None = None) -> Trained:
    """A trained run, by its folder, its id or the beginning of its id.

    The name of a study means its best run. A folder of `petl export`, or one that PEFT saved, works
    too. `runs` is the folder of runs [PETL_RUNS or runs].
    """
    places = Places.choose(runs)
    return Trained(load_run(choose(str(run), places).paths[0], places))


class Built(nn.Module):
    """A method on a pre-trained backbone, for a training loop of your own.

    `forward` takes what `extractor` makes of sounds, as a batch, and gives logits. Only what the
    method trains requires a gradient.
    """

    def __init__(self, model: Model, extractor: Extractor, classes: tuple[str, ...]):
        super().__init__()
        self.model, self.extractor, self.classes = model, extractor, classes

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


def build(
    method: str | Mapping[str, Any],
    backbone: str | Path = "ast",
    classes: int | Sequence[str] = 2,
    *,
    frames: int = 500,
    statistics: tuple[float, float] | None = None,
    pooling: str | None = None,
    profile: Profile = "as-intended",
    **settings: Any,
) -> Built:
    """A new model: a method on a pre-trained backbone, with a linear head.

    `method` is a preset's name, or settings as in a study; further settings go over them.
    `backbone` is a preset's name, a name on Hugging Face, or a folder. Clips are cut or padded to
    `frames` x 10 ms. `statistics` are the mean and std that normalise spectrograms, by default
    AudioSet's; `model.extractor.fit(files)` measures them. New weights are drawn from torch's
    generator: `torch.manual_seed` first makes them the same each time.
    """
    presets = read_yaml(PRESETS).data
    names = tuple(map(str, range(classes))) if isinstance(classes, int) else tuple(classes)
    normalising = presets["profiles"]["as-run"]["every"]["dataset"]["statistics"]  # AudioSet's
    if statistics is not None:
        normalising = dict(zip(("mean", "std"), statistics, strict=True))
    chosen: dict[str, Any] = {"like": str(backbone)}
    if str(backbone) not in presets["backbones"]:
        chosen = {"backbone": {"source": str(backbone), "family": family_of(str(backbone))}}
    if pooling:
        chosen.setdefault("backbone", {})["pooling"] = pooling
    dataset = {"classes": len(names), "frames": frames, "statistics": normalising}
    task = model_task(method, chosen, dataset, profile, **settings)
    reads_waveforms = isinstance(task.backbone, config.Wav2Vec2)
    recipe = Recipe.of(task.dataset, task.backbone.form)
    normalised_by = None if reads_waveforms else task.dataset.statistics
    return Built(build_model(task), Extractor(recipe, normalised_by), names)
