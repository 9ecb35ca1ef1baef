"""The files Slurm reads, as pure functions of a layout."""

from __future__ import annotations

from dataclasses import dataclass

from slurm.devcluster.layout import Layout

REQUEUE_S = 10  # after which a requeued job may start again
GRACE_S = 5  # between SIGTERM and SIGKILL of a preempted job, and of one whose time is up


@dataclass(frozen=True)
class Partition:
    name: str
    settings: str
    meaning: str


# A job of a higher tier takes the place of `killable` ones; among all others it waits for its turn.
PARTITIONS = (
    Partition(
        "gpu", "Default=YES PriorityTier=2", "the default; no time limit but an hour unasked"
    ),
    Partition(
        "killable",
        f"PriorityTier=1 PreemptMode=REQUEUE GraceTime={GRACE_S}",
        f"gives way to the others: SIGTERM, {GRACE_S} s later SIGKILL, then requeued",
    ),
    Partition("urgent", "PriorityTier=3", "before gpu, and in the place of killable jobs"),
    Partition(
        "short",
        "PriorityTier=2 MaxTime=1 DefaultTime=1",
        f"one minute at most, then SIGTERM and {GRACE_S} s later SIGKILL",
    ),
)

# What a batch of 10,000 short tasks needs to be seen moving, and what a person would wait for.
SCHEDULER = ",".join(
    (
        "sched_interval=2",
        "sched_min_interval=100000",  # microseconds; the default of 2 s is felt in every test
        "batch_sched_delay=0",
        "default_queue_depth=1000",
        "bf_interval=2",
        "bf_continue",
    )
)


def slurm_conf(layout: Layout) -> str:
    settings: dict[str, object] = {
        "ClusterName": layout.name,
        "SlurmctldHost": f"{layout.host}(127.0.0.1)",
        "SlurmctldPort": layout.slurmctld_port,
        "CommunicationParameters": "NoInAddrAny,NoCtldInAddrAny",  # on 127.0.0.1 only
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "CredType": "cred/munge",
        # a requeued job waits until its old credentials expire: by default two minutes
        "AuthInfo": f"socket={layout.munge_socket},cred_expire={REQUEUE_S}",
        # where things lie
        "StateSaveLocation": layout.state,
        "SlurmdSpoolDir": layout.folder / "spool" / "%n",
        "SlurmctldPidFile": layout.pids / "slurmctld.pid",
        "SlurmdPidFile": layout.pids / "slurmd-%n.pid",
        "SlurmctldLogFile": layout.logs / "slurmctld.log",
        "SlurmdLogFile": layout.logs / "%n.log",
        "MailProg": "/bin/true",
        # one machine that claims to be several, without cgroups
        "SlurmdParameters": "config_overrides",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "MpiDefault": "none",
        "GresTypes": "gpu",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core_Memory",
        # accounting
        "AccountingStorageType": "accounting_storage/slurmdbd",
        "AccountingStorageHost": "127.0.0.1",
        "AccountingStoragePort": layout.slurmdbd_port,
        "AccountingStoragePass": layout.munge_socket,  # AuthInfo does not reach so far
        "AccountingStorageTRES": "gres/gpu",
        "JobAcctGatherType": "jobacct_gather/linux",
        "JobAcctGatherFrequency": "task=1",
        "JobAcctGatherParams": "OverMemoryKill",  # what cgroups do elsewhere, seen once a second
        # scheduling
        "SchedulerType": "sched/backfill",
        "SchedulerParameters": SCHEDULER,
        "PriorityType": "priority/basic",
        "PreemptType": "preempt/partition_prio",
        "PreemptMode": "REQUEUE",
        "JobRequeue": 1,
        "MaxArraySize": 5001,
        "MaxJobCount": 20_000,
        "MinJobAge": 60,
        # patience: a killed daemon has the time to be started again, a dead node is noticed soon
        "KillWait": GRACE_S,
        "OverTimeLimit": 0,
        "SlurmctldTimeout": 30,
        "SlurmdTimeout": 30,
        "MessageTimeout": 20,
        "ReturnToService": 2,
    }
    lines = [f"{key}={value}" for key, value in settings.items()]
    return "\n".join([*lines, *_nodes(layout), *_partitions()]) + "\n"


def _nodes(layout: Layout) -> list[str]:
    claims = (
        f"CPUs={layout.cpus} Boards=1 SocketsPerBoard=1 CoresPerSocket={layout.cpus}"
        f" ThreadsPerCore=1 RealMemory={layout.memory_mb} Gres=gpu:{layout.gpus}"
    )
    return [
        f"NodeName={node} NodeHostname={layout.host} NodeAddr=127.0.0.1"
        f" Port={layout.slurmd_port(node)} {claims}"
        for node in layout.node_names
    ]


def _partitions() -> list[str]:
    default = (
        "Nodes=ALL DefMemPerCPU=1000 DefaultTime=60 MaxTime=UNLIMITED PreemptMode=OFF State=UP"
    )
    ours = [f"PartitionName={p.name} {p.settings}" for p in PARTITIONS]
    return [f"PartitionName=DEFAULT {default}", *ours]


def gres_conf(layout: Layout) -> str:
    lines = ["AutoDetect=off"]  # real GPUs are none of this cluster's business
    for node, files in layout.devices.items():
        lines += [f"NodeName={node} Name=gpu File={file}" for file in files]
    return "\n".join(lines) + "\n"


def slurmdbd_conf(layout: Layout) -> str:
    settings: dict[str, object] = {
        "DbdHost": layout.host,
        "DbdAddr": "127.0.0.1",
        "DbdPort": layout.slurmdbd_port,
        "SlurmUser": "root",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={layout.munge_socket}",
        "PidFile": layout.pids / "slurmdbd.pid",
        "LogFile": layout.logs / "slurmdbd.log",
        "StorageType": "accounting_storage/mysql",
        "StorageHost": "localhost",  # through the socket that MYSQL_UNIX_PORT names
        "StorageUser": "root",
        "StorageLoc": "slurm",
    }
    return "\n".join(f"{key}={value}" for key, value in settings.items()) + "\n"
