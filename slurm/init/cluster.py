"""`petl init --cluster`: ask Slurm what there is, and write a profile with comments."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from petl.config.validate import validate
from petl.config.yamlfile import parse_value
from petl.errors import UserError
from petl.files import refuse_existing, write_output
from petl.terminal import console
from slurm.doctor.slurm_info import TIMEOUT_S, SlurmInfo, seconds
from slurm.scheduler import SlurmTrouble, run
from slurm.submit.profile import OWN, Profile

CPUS, MEM_GB = 8, 32
"""For a job, where the share of a GPU's node is larger."""
HOURS = 12
"""Asked for, where the limit allows it; an interrupted run continues anyway."""
NODES = ["sinfo", "--noheader", "--all", "--Node", "--format=%R|%G|%c|%m"]


@dataclass
class Partition:
    name: str
    is_default: bool
    is_up: bool
    limit: str
    gpus: Counter[str] = field(default_factory=Counter)
    """The most of a node, by type; `` where it has none."""
    cpus: int = 0
    mem_gb: float = 0.0
    """Of its smallest node."""


@dataclass
class Cluster:
    name: str
    partitions: list[Partition]
    accounts: list[str]
    troubles: list[str]


def init_cluster(out: Path | None) -> None:
    slurm = SlurmInfo()
    if slurm.is_absent:
        raise UserError("there is no Slurm on this machine: run this on a login node")
    with console().status("asking Slurm"):
        cluster = ask(slurm)
    out = out or OWN / f"{cluster.name}.yaml"
    refuse_existing(out)
    text = profile_text(cluster)
    validate(Profile, parse_value(text), lambda key: f"{out}, {'.'.join(map(str, key))}")
    write_output(out, text.encode())
    console().print(text, end="", soft_wrap=True)
    name = out.stem if out.parent == OWN else out
    console().print(f"wrote {out}\nnext: petl doctor --cluster {name}", soft_wrap=True)


def ask(slurm: SlurmInfo) -> Cluster:
    """Without its partitions nothing can be said; anything else may be missing."""
    partitions = {
        row["PartitionName"]: Partition(
            row["PartitionName"],
            row.get("Default") == "YES",
            row.get("State") == "UP",
            row.get("MaxTime", "UNLIMITED"),
        )
        for row in slurm.partitions.values()
    }
    if not partitions:
        raise UserError("scontrol shows no partition of this cluster")
    troubles: list[str] = []
    try:
        _add_nodes(partitions, run(NODES, TIMEOUT_S))
    except SlurmTrouble as trouble:
        troubles.append(f"GPUs, CPUs and memory: {trouble}")
    accounts: list[str] = []
    try:
        accounts = list(dict.fromkeys(row[0] for row in slurm.rows("accounts") if row[0]))
    except SlurmTrouble as trouble:
        troubles.append(f"accounts: {trouble}")
    try:
        name = slurm.config.get("ClusterName", "")
    except SlurmTrouble:
        name = ""
    return Cluster(
        re.sub(r"[^\w-]", "", name) or "mine", list(partitions.values()), accounts, troubles
    )


def _add_nodes(partitions: dict[str, Partition], answer: str) -> None:
    for line in answer.splitlines():
        name, gres, cpus, mem = line.split("|")
        if (partition := partitions.get(name)) is None:
            continue
        for kind, number in re.findall(r"gpu:(?:([^:(,]+):)?(\d+)", gres):
            partition.gpus[kind] = max(partition.gpus[kind], int(number))
        cores, gb = int(re.sub(r"\D", "", cpus) or 0), int(re.sub(r"\D", "", mem) or 0) / 1024
        partition.cpus = min(partition.cpus or cores, cores)
        partition.mem_gb = min(partition.mem_gb or gb, gb)


def chosen(partitions: list[Partition]) -> Partition:
    """With GPUs if any has them, up, the default one, the one with the longest limit."""
    return max(partitions, key=lambda p: (bool(p.gpus), p.is_up, p.is_default, seconds(p.limit)))


def profile_text(cluster: Cluster) -> str:
    partition = chosen(cluster.partitions)
    others = ", ".join(_summary(p) for p in cluster.partitions if p is not partition)
    each = max(partition.gpus.values(), default=1)
    cpus = max(1, min(CPUS, partition.cpus // each or CPUS))
    mem_gb = max(1, min(MEM_GB, int(0.9 * partition.mem_gb / each) or MEM_GB))
    limit = seconds(partition.limit)
    time = f"{HOURS}:00:00" if limit >= HOURS * 3600 else partition.limit
    types = ", ".join(f"{kind or 'any'} ({n} in a node)" for kind, n in partition.gpus.items())
    rows = [
        _row("partition", partition.name, f"others: {others}" if others else "the only one"),
        _accounts(cluster.accounts),
        _row("gpus", 1 if partition.gpus else 0, types or "no GPU is known here"),
    ]
    kinds = [kind for kind in partition.gpus if kind]
    if len(kinds) > 1:
        rows.append(_row("# gpu_type", kinds[0], "leave it out if any GPU will do"))
    most = "there is no limit" if math.isinf(limit) else f"the limit is {partition.limit}"
    rows += [
        _row("cpus", cpus, "for each job"),
        _row("mem_gb", mem_gb, "not the GPU's own memory"),
        _row("time", time, most),
        "",
        "# Remove a # to use one of these; docs/slurm.md explains every key.",
        "# container: {kind: apptainer, image: /path/petl-ast.sif}  # else this Python",
        '# setup: ["module load apptainer"]',
        "# throttle: 40            # at most so many jobs of a study at a time",
        "# tasks_per_job: 4        # several short runs in one job",
    ]
    about = [f"# could not be asked: {trouble}" for trouble in cluster.troubles]
    head = f"# Written by `petl init --cluster` from what Slurm says of the cluster {cluster.name}."
    return "\n".join([head, *about, f"description: {json.dumps(cluster.name)}", "", *rows, ""])


def _accounts(accounts: list[str]) -> str:
    if not accounts:
        return "# account:              # Slurm names none of yours"
    rest = f"or {', '.join(accounts[1:])}" if accounts[1:] else "your only one"
    return _row("account", accounts[0], rest)


def _summary(partition: Partition) -> str:
    gpus = "+".join(kind or "gpu" for kind in partition.gpus)
    state = "" if partition.is_up else ", down"
    return f"{partition.name} ({gpus or 'no GPU'}, {partition.limit}{state})"


def _row(key: str, value: object, comment: str) -> str:
    text = value if isinstance(value, int) else json.dumps(value)
    return f"{f'{key}: {text}':24}  # {comment}"
