"""`petl init --cluster`, from answers that Slurm gives on real clusters."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from petl.cli import app
from petl.config.yamlfile import parse_value
from slurm.doctor import slurm_info
from slurm.init import cluster
from slurm.scheduler import SlurmTrouble
from slurm.submit.profile import Profile, load_profile

PARTITIONS = """\
PartitionName=cpu AllowGroups=ALL Default=YES MaxTime=7-00:00:00 State=UP TotalCPUs=512
PartitionName=gpu AllowGroups=ALL Default=NO MaxTime=08:00:00 State=UP TotalCPUs=128
PartitionName=old AllowGroups=ALL Default=NO MaxTime=UNLIMITED State=DOWN TotalCPUs=128
"""
NODES = """\
cpu|(null)|64|256000
gpu|gpu:a100:4(S:0-1)|32|128000
gpu|gpu:v100:2,nvme:1|16+|96000+
old|gpu:2|16|64000
"""
ANSWERS = {
    "partition": PARTITIONS,
    "config": "ClusterName             = hydra\nSLURM_VERSION = 23.02\n",
    "%R|%G|%c|%m": NODES,
    "assoc": "lab|normal|\nteaching|normal|\nlab|normal|\n",
}


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    known = dict(ANSWERS)

    def run(command: list[str], *rest: object) -> str:
        line = " ".join(command)
        for words, answer in known.items():
            if words in line:
                return answer
        raise SlurmTrouble(f"{command[0]} did not answer")

    monkeypatch.setattr(slurm_info, "run", run)
    monkeypatch.setattr(cluster, "run", run)
    monkeypatch.setattr(slurm_info.shutil, "which", lambda name: f"/usr/bin/{name}")
    return known


def init(code: int = 0) -> str:
    told = CliRunner().invoke(app, ["init", "--cluster"])
    assert told.exit_code == code, told.output
    return told.output


def test_the_profile_has_what_slurm_says_and_the_choices_beside_it(answers) -> None:
    told = init()
    assert "next: petl doctor --cluster hydra" in told
    profile = load_profile("hydra")
    asked = (profile.partition, profile.account, profile.gpus, profile.cpus, profile.mem_gb)
    assert asked == ("gpu", "lab", 1, 4, 21)
    assert profile.time == "08:00:00"
    text = Path("clusters/hydra.yaml").read_text()
    for choice in ("cpu (no GPU, 7-00:00:00)", "old (gpu, UNLIMITED, down)", "or teaching",
                   "a100 (4 in a node), v100 (2 in a node)", '# gpu_type: "a100"'):  # fmt: skip
        assert choice in text
    assert "clusters/hydra.yaml exists already" in init(code=2)


def test_every_line_with_a_hash_can_be_used(answers) -> None:
    init()
    text = Path("clusters/hydra.yaml").read_text()
    keys = ("gpu_type", "container", "setup", "throttle", "tasks_per_job")
    for key in keys:
        assert f"# {key}: " in text
        text = text.replace(f"# {key}: ", f"{key}: ")
    Profile.model_validate(parse_value(text))


def test_what_slurm_does_not_answer_is_said_in_the_profile(answers) -> None:
    del answers["assoc"], answers["%R|%G|%c|%m"]
    init()
    text = Path("clusters/hydra.yaml").read_text()
    assert "# could not be asked: accounts: sacctmgr did not answer" in text
    assert "# could not be asked: GPUs, CPUs and memory: sinfo did not answer" in text
    assert load_profile("hydra").account is None


def test_without_partitions_there_is_nothing_to_write(answers) -> None:
    del answers["partition"]
    assert init(code=2) == "petl: scontrol did not answer\n"
    assert not Path("clusters").exists()


def test_without_slurm_it_says_where_to_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_info.shutil, "which", lambda name: None)
    assert "run this on a login node" in init(code=2)
