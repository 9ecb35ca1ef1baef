"""A study whose weights or sounds are not here: told before any job waits for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from petl.backbones.hub import Hub, absent
from petl.cli import app
from petl.config.options import Options
from petl.config.study import load_study
from petl.errors import UserError
from petl.places import Places
from slurm.status.plan import Plan
from slurm.submit.corpora import refuse_without_checkpoints
from slurm.submit.policy import choose
from slurm.submit.profile import Profile
from slurm.submit.sbatch import Cluster
from slurm.submit.to_cluster import refuse_without_weights

NAME = "MIT/ast-finetuned-audioset-10-10-0.4593"
STUDY = "matrix: {dataset: esc50, backbone: [ast, ast-small], method: linear, fold: 0, seed: 0}\n"


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    for name in ("HF_HOME", "PETL_HF_REVISION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "users"))
    (tmp_path / "my study.yaml").write_text(STUDY)
    return Places(tmp_path / "runs", tmp_path / "data", tmp_path / "cache")


def fetched(places: Places) -> None:
    hub = Hub.of(places)
    folder = hub.folder / f"models--{NAME.replace('/', '--')}" / "snapshots" / ("a" * 40)
    folder.mkdir(parents=True)
    for file in ("config.json", "model.safetensors"):
        (folder / file).touch()
    hub.write_down(NAME, "a" * 40)


def test_a_cluster_gets_no_study_whose_weights_are_not_here(places: Places) -> None:
    study = load_study(places.runs.parent / "my study.yaml")
    profile = Profile(time="60")
    choice = choose(Plan(study, places.runs).items, profile)
    cluster = Cluster("mine", profile, places, Options())
    with pytest.raises(UserError) as told:
        refuse_without_weights(choice, cluster, study)
    assert str(told.value) == f"the weights of {NAME} are not here: run `petl fetch '{study.path}'`"
    elsewhere = cluster._replace(profile=Profile(time="60", setup=("export HF_HOME=/project",)))
    refuse_without_weights(choice, elsewhere, study)
    fetched(places)
    refuse_without_weights(choice, cluster, study)


def test_doctor_names_what_a_study_lacks(places: Places) -> None:
    root = places.runs.parent

    def doctor() -> tuple[int, str]:
        folders = [f"--{name}={root / name}" for name in ("runs", "data", "cache")]
        told = CliRunner().invoke(app, ["doctor", str(root / "my study.yaml"), *folders])
        return told.exit_code, " ".join(told.stdout.split())

    code, told = doctor()
    assert code == 1
    assert "esc50 is not here -> `petl data fetch esc50`" in told
    assert f"the weights of {NAME} are not here -> run `petl fetch" in told
    (places.data / "esc50").mkdir(parents=True)
    fetched(places)
    code, told = doctor()
    assert code == 0 and f"the weights of {NAME} are here, commit {'a' * 40}" in told


@pytest.mark.parametrize("source", ["made/soon", "./soon", "made/a/b", "soon.safetensors"])
def test_a_checkpoint_that_is_not_made_yet_is_told(
    source: str, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a run starts; as a warning if other runs can start."""
    monkeypatch.chdir(root := places.runs.parent)
    (root / "made").mkdir()
    said = f"no such folder or file: {source}; `petl pretrain` and `petl export` write checkpoints"
    mine = f"backbones: {{mine: {{backbone: {{family: ast, source: {source}}}}}}}\n"
    file = root / "mine.yaml"
    file.write_text(STUDY.replace("[ast, ast-small]", "mine") + mine)
    told = CliRunner().invoke(app, ["plan", str(file), f"--runs={places.runs}"])
    assert told.exit_code == 0 and f"warning: backbone.source: {said}" in told.stderr
    with pytest.raises(UserError, match=re.escape(said)):
        refuse_without_checkpoints(load_study(file).tasks, places)
    file.write_text(STUDY.replace("[ast, ", "[mine, ") + mine)
    refuse_without_checkpoints(load_study(file).tasks, places)


def test_checkpoints_that_are_here_are_no_trouble(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor new ones, petl's own, and names of Hugging Face."""
    monkeypatch.chdir(root := places.runs.parent)
    (root / "made" / "here").mkdir(parents=True)
    file = root / "mine.yaml"
    mine = "backbones: {mine: {backbone: {family: ast, source: made/here}}}\n"
    file.write_text(STUDY.replace("[ast, ", "[ast, mine, ast-new-tiny, ") + mine)
    assert absent(load_study(file).tasks, places) == []
