"""Where studies are: a path, or the name of one here or among those of the package."""

from __future__ import annotations

from pathlib import Path

from petl.errors import UserError, nearest

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
NO_STUDIES = ("presets", "paper")
"""Other files beside the studies: the presets, and the numbers that the paper published."""
SUFFIXES = (".yaml", ".yml")


def find_study(name: str | Path) -> Path:
    """The file of a study; for a path, whether it exists or not."""
    file, path = study_file(name), Path(name)
    if file is None and _is_name(path):
        near = nearest(path.name, [*_known(), *(here.stem for here in Path().glob("*.yaml"))])
        raise UserError(f"no study '{name}' in {Path.cwd()} or {EXPERIMENTS}{near}")
    return file or path


def study_file(name: str | Path) -> Path | None:
    """The file that a study's path or name means, if there is one."""
    path = Path(name)
    if path.is_file():
        return path
    if not _is_name(path):
        return None
    here = Path(f"{path}.yaml")
    return here if here.is_file() else _known().get(path.name)


def complete(incomplete: str) -> list[str]:
    """The names of studies, and of YAML files here, that begin so."""
    names = {*_known(), *(file.name for file in Path().glob("*.y*ml"))}
    return sorted(name for name in names if name.startswith(incomplete))


def study_name(word: str) -> str:
    """`birds` of birds.yaml, of runs/birds and of birds; a name may have dots in it."""
    path = Path(word)
    return path.stem if path.suffix in SUFFIXES else path.name


def _is_name(path: Path) -> bool:
    return len(path.parts) == 1 and path.suffix not in SUFFIXES


def _known() -> dict[str, Path]:
    return {file.stem: file for file in EXPERIMENTS.glob("*.yaml") if file.stem not in NO_STUDIES}
