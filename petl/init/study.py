"""`petl init FOLDER`: look, choose, write; nothing that exists is changed."""

from __future__ import annotations

from pathlib import Path

from petl.config.study import expand
from petl.config.study_file import Sound
from petl.config.yamlfile import parse_value
from petl.data.splits import split
from petl.files import refuse_existing, write_output
from petl.init import write
from petl.init.choose import Choice, choose
from petl.init.look import look, measure
from petl.init.names import checked_name, study_name
from petl.places import Places
from petl.terminal import progress_bars


def init_study(
    path: Path,
    out: Path | None,
    *,
    label: str | None,
    backbone: str,
    sound: Sound,
    by_group: bool | None,
    command: str,
    places: Places,
) -> tuple[Choice, list[Path]]:
    """What was chosen, and the files and folders that were made."""
    if not path.exists() and (places.data / path).is_dir():
        path = places.data / path  # `petl init esc50`, as the other commands call it
    out = out or Path(f"{study_name(path)}.yaml")
    name = checked_name(out)
    refuse_existing(out)
    found = look(path, label)
    with progress_bars() as bars:
        measured = measure(found.corpus, lambda done, total: bars("reading", done, total))
    choice = choose(name, found, measured, backbone, sound, by_group)
    if choice.groups and _is_in(found.folder, places.data, name):
        choice.corpus = f"{name}-grouped"
    text = write.study_text(choice, found, command)
    task = expand(parse_value(text), name)[0]  # it must be a study before anything is made
    for fold in range(0 if choice.groups else task.dataset.folds):  # rather than in a job
        split(found.corpus, task.dataset, fold, task.seed)
    made = write.make_corpus(choice, found, places.data)
    write_output(out, text.encode())
    return choice, [path for path in (made, out) if path]


def _is_in(folder: Path, data: Path, name: str) -> bool:
    return folder.resolve() == (data / name).resolve()
