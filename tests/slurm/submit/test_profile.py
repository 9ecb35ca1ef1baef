"""A profile is checked like a study: the file, the line, what is wrong, what is near."""

from __future__ import annotations

from pathlib import Path

import pytest

from petl.errors import UserError
from slurm.submit.container import refuse_gpus
from slurm.submit.profile import SHIPPED, Profile, load_profile


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_profiles_are_right(path: Path) -> None:
    assert load_profile(path.stem) == load_profile(str(path))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("time: 1\npartion: gpu", r":2: unknown key 'partion'; did you mean 'partition'\?"),
        ("time: soon", r":1: time 'soon': write minutes, HH:MM:SS or D-HH:MM:SS"),
        ("time: 1\ngpus: -1", ":2: gpus should be greater than or equal to 0, not -1"),
        ("gpus: 1", ":1: 'time' is missing"),
        ("time: 1\ncontainer: {kind: aptainer}", r":2: container.kind .* did you mean 'apptainer'"),
        ("time: 1\ncontainer:\n  kind: pyxis", ":2: 'container.image' is missing"),
    ],
)
def test_a_mistake_is_told_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text + "\n")
    with pytest.raises(UserError, match=told):
        load_profile(str(path))


def test_ones_own_profile_hides_the_shipped_one_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters" / "devcluster.yaml").write_text("time: 7\n")
    assert load_profile("devcluster").time == "7"
    with pytest.raises(UserError, match=r"'devclustr' in ./clusters .* did you mean 'devcluster'"):
        load_profile("devclustr")


def test_a_change_on_the_command_line_is_checked_like_the_file() -> None:
    assert load_profile("devcluster", ["resources.mem_gb=64", "time=2:00:00"]).mem_gb == 64
    with pytest.raises(UserError, match="--set: unknown key 'memgb'; did you mean 'mem_gb'"):
        load_profile("devcluster", ["memgb=64"])
    with pytest.raises(UserError, match="write KEY=VALUE"):
        load_profile("devcluster", ["mem_gb"])


@pytest.mark.parametrize(
    ("gpus", "stack", "told"),
    [
        (
            "gpu_type: h100",
            "pinned",
            r"h100 \(compute capability 9.0\); build .* 'modern'",
        ),
        ("gpu_type: v100", "modern", "build the image 'pinned' .* set `stack: pinned`"),
        ("sbatch: {gres: 'gpu:h200:2'}", "pinned", "GPU type h200"),
        ("sbatch: {gpus: 'a100:1,b200:1'}", "pinned", "GPU type b200"),
        ("gpu_type: k80", "modern", "'pinned'"),
    ],
)
def test_a_gpu_that_the_image_has_no_kernels_for_is_refused_with_the_other_image(
    tmp_path: Path, gpus: str, stack: str, told: str
) -> None:
    path = tmp_path / "mine.yaml"
    container = f"{{kind: apptainer, image: /petl.sif, stack: {stack}}}"
    path.write_text(f"time: 1\n{gpus}\ncontainer: {container}\n")
    with pytest.raises(UserError, match=told):
        refuse_gpus(load_profile(str(path)))


@pytest.mark.parametrize(
    "text",
    [
        "gpu_type: h100\ncontainer: {kind: pyxis, image: a, stack: modern}",
        "gpu_type: h100\ncontainer: {kind: pyxis, image: a, stack: other}",
        "gpu_type: h100\ngpus: 0\ncontainer: {kind: pyxis, image: a}",
        "gpu_type: 1g.10gb\ncontainer: {kind: pyxis, image: a}",
        "sbatch: {gres: 'gpu:2'}\ncontainer: {kind: pyxis, image: a}",
        "gpu_type: l40s\ncontainer: {kind: charliecloud, image: a}",
        "gpu_type: h100",  # no image
    ],
)
def test_a_gpu_that_fits_or_that_petl_does_not_know_is_submitted(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"time: 1\n{text}\n")
    refuse_gpus(load_profile(str(tmp_path / "mine.yaml")))


def test_more_memory_is_twice_as_much_up_to_what_there_is() -> None:
    assert load_profile("devcluster", ["mem_gb=8"]).more_mem_gb == 16
    assert load_profile("devcluster", ["mem_gb=8", "most_mem_gb=12"]).more_mem_gb == 12


def test_every_key_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[3] / "docs" / "slurm.md").read_text()
    assert [key for key in Profile.model_fields if f"`{key}`" not in text] == []
