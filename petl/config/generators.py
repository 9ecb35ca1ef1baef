"""The run that `augment.generator: STUDY/METHOD` means, for each task of a study.

It is the generator's task with the same clips, fold and seed: the dataset may have another name,
and other `statistics` and `spec_augment`, which change no clip. A generator is never augmented, so
looking one up reads one other study and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from petl.config.augment import is_run_id
from petl.config.dataset import Dataset
from petl.config.locate import find_study
from petl.config.task import Task
from petl.config.yamlfile import KeyPath
from petl.errors import UserError

Load = Callable[[Path, str], Iterable[Task]]
"""The tasks of one method of a study, which is called by its file."""
CHANGES_NO_CLIP = {"spec_augment": None, "statistics": "training-split"}
"""What a training masks, and how it normalises."""
OF_TASK: KeyPath = ("augment", "generator")


class Generators:
    """Of one study, each looked up once; `own`: the file of the study that names them."""

    def __init__(self, load: Load, own: Path | None):
        self.load, self.own = load, own
        self.tasks: dict[str, list[Task]] = {}
        self.fitting: dict[tuple[str, Dataset], dict[tuple[int, int], Task]] = {}
        self.studies: dict[str, Path] = {}
        """Where each run that was found is from, by its id."""

    def augmented(self, task: Task, fold: int, seed: int, at: str) -> dict[str, object]:
        """The settings of a task with its generator's run id; `at`: the line that names it."""
        augment = task.augment
        if augment is None or is_run_id(augment.generator):
            return {}
        try:
            run_id = self._run_id(augment.generator, task, fold, seed)
        except UserError as error:
            raise UserError(f"{at}: augment.generator '{augment.generator}': {error}") from None
        return {"augment": augment.model_copy(update={"generator": run_id})}

    def _run_id(self, name: str, task: Task, fold: int, seed: int) -> str:
        found = self._of_dataset(name, task)
        seeds, folds = (sorted({key[i] for key in found}) for i in (0, 1))
        own = seed if seed in seeds or seeds[1:] else seeds[0]
        if fold not in folds:
            raise UserError(f"it is fitted for {_listed('fold', folds)}, and not for fold {fold}")
        if (own, fold) not in found:
            raise UserError(f"it is fitted for {_listed('seed', seeds)}, and not for seed {seed}")
        few = task.dataset.few_shot
        if few is not None and few.draw == "seeded" and own != seed:
            raise UserError(
                f"dataset.few_shot draws other clips for seed {seed} than for the generator's "
                f"seed {own}: fit it for seed {seed} too"
            )
        run_id = found[own, fold].run_id
        self.studies[run_id] = self._file(name)
        return run_id

    def _of_dataset(self, name: str, task: Task) -> dict[tuple[int, int], Task]:
        """By seed and fold, those that were fitted to the task's clips."""
        wanted = _clips(task.dataset)
        if (name, wanted) in self.fitting:
            return self.fitting[name, wanted]
        found: dict[tuple[int, int], Task] = {}
        for other in self._all(name):
            if _clips(other.dataset) != wanted:
                continue
            first = found.setdefault((other.seed, other.fold), other)
            if first.run_id != other.run_id:
                names = " and ".join(
                    f"{one.names.dataset}, {one.names.backbone}, {one.names.method}"
                    for one in (first, other)
                )
                raise UserError(f"two generators fit: {names}; name one by its run id")
        if not found:
            raise UserError(_other_clips(task, self._all(name)))
        self.fitting[name, wanted] = found
        return found

    def _all(self, name: str) -> list[Task]:
        if name not in self.tasks:
            file = self._file(name)
            if self.own is not None and file.is_file() and file.samefile(self.own):
                raise UserError(
                    "this is the study itself, whose runs start in any order; fit its generators "
                    "in a study of their own"
                )
            self.tasks[name] = list(self.load(file, name.rpartition("/")[2]))
        return self.tasks[name]

    def _file(self, name: str) -> Path:
        """Beside the study that names it, or where any study is found."""
        study = name.rpartition("/")[0]
        if self.own is not None:
            folder = self.own.parent
            for beside in (folder / study, folder / f"{study}.yaml"):
                if beside.is_file():
                    return beside
        return find_study(study)


def _clips(dataset: Dataset) -> Dataset:
    return dataset.model_copy(update=CHANGES_NO_CLIP)


def _listed(what: str, numbers: list[int]) -> str:
    plural = "s" if numbers[1:] else ""
    return f"{what}{plural} {', '.join(map(str, numbers))}"


def _other_clips(task: Task, others: list[Task]) -> str:
    """The generator whose dataset is called alike, or the first one, and what differs."""
    same_name = [other for other in others if other.names.dataset == task.names.dataset]
    other = (same_name or others)[0]
    ours, theirs = _clips(task.dataset), _clips(other.dataset)
    name = next(
        name for name in Dataset.model_fields if getattr(ours, name) != getattr(theirs, name)
    )
    values = [_short(getattr(dataset, name)) for dataset in (theirs, ours)]
    return (
        f"it is fitted to other clips: dataset.{name} is {values[0]} there "
        f"({other.names.dataset}) and {values[1]} here ({task.names.dataset})"
    )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
