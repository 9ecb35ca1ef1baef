"""The configuration files of Slurm, as pure functions of a layout."""

from __future__ import annotations

from slurm.devcluster.layout import CPUS, MEMORY_MB, Layout

REQUEUE_S = 10  # a requeued job can start again after this long
GRACE_S = 5  # from SIGTERM to SIGKILL, at preemption and at the time limit


# Name -> settings and meaning. A job of a higher tier preempts `killable` jobs; among the others it
# only goes first in the queue.
PARTITIONS = {
    "gpu": ("Default=YES PriorityTier=2", "the default; one hour unless you set --time"),
    "killable": (
        f"PriorityTier=1 PreemptMode=REQUEUE GraceTime={GRACE_S}",
        f"preempted by the others: SIGTERM, {GRACE_S} s later SIGKILL, then requeued",
    ),
    "urgent": ("PriorityTier=3", "goes before gpu, and preempts killable jobs"),
    "short": (
        "PriorityTier=2 MaxTime=1 DefaultTime=1",
        f"at most one minute, then SIGTERM and {GRACE_S} s later SIGKILL",
    ),
}

# Short intervals, so that tests and an array of 10,000 short tasks do not wait for the scheduler;
# sched_min_interval is in microseconds.
SCHEDULER = (
    "sched_interval=2,sched_min_interval=100000,batch_sched_delay=0,default_queue_depth=1000,"
    "bf_interval=2,bf_continue"
)


def slurm_conf(layout: Layout) -> str:
    settings: dict[str, object] = {
        "ClusterName": layout.name,
        "SlurmctldHost": f"{layout.host}(127.0.0.1)",
        "SlurmctldPort": layout.base_port,
        "CommunicationParameters": "NoInAddrAny,NoCtldInAddrAny",  # on 127.0.0.1 only
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "CredType": "cred/munge",
        # a requeued job waits until its old credentials expire, two minutes by default
        "AuthInfo": f"socket={layout.munge_socket},cred_expire={REQUEUE_S}",
        # where its files are
        "StateSaveLocation": layout.state,
        "SlurmdSpoolDir": layout.folder / "spool" / "%n",
        "SlurmctldPidFile": layout.state / "slurmctld.pid",
        "SlurmdPidFile": layout.state / "slurmd-%n.pid",
        "SlurmctldLogFile": layout.logs / "slurmctld.log",
        "SlurmdLogFile": layout.logs / "%n.log",
        "MailProg": "/bin/true",
        # one machine that acts as several, without cgroups
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
        "AccountingStoragePort": layout.base_port + 1,
        "AccountingStoragePass": layout.munge_socket,  # AuthInfo does not apply here
        "AccountingStorageTRES": "gres/gpu",
        "JobAcctGatherType": "jobacct_gather/linux",
        "JobAcctGatherFrequency": "task=1",
        "JobAcctGatherParams": "OverMemoryKill",  # instead of cgroups, once a second
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
        # time to restart a killed daemon, while a dead node is still noticed soon
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
        f"CPUs={CPUS} Boards=1 SocketsPerBoard=1 CoresPerSocket={CPUS}"
        f" ThreadsPerCore=1 RealMemory={MEMORY_MB} Gres=gpu:{layout.gpus}"
    )
    return [
        f"NodeName={node} NodeHostname={layout.host} NodeAddr=127.0.0.1"
        f" Port={layout.slurmd_port(node)} {claims}"
        for node in layout.node_names
    ]


def _partitions() -> list[str]:
    common = "Nodes=ALL DefMemPerCPU=1000 DefaultTime=60 MaxTime=UNLIMITED PreemptMode=OFF State=UP"
    lines = [f"PartitionName={name} {settings}" for name, (settings, _) in PARTITIONS.items()]
    return [f"PartitionName=DEFAULT {common}", *lines]


def gres_conf(layout: Layout) -> str:
    lines = ["AutoDetect=off"]  # do not look for real GPUs
    for node, files in layout.devices.items():
        lines += [f"NodeName={node} Name=gpu File={file}" for file in files]
    return "\n".join(lines) + "\n"


def slurmdbd_conf(layout: Layout) -> str:
    settings: dict[str, object] = {
        "DbdHost": layout.host,
        "DbdAddr": "127.0.0.1",
        "DbdPort": layout.base_port + 1,
        "SlurmUser": "root",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={layout.munge_socket}",
        "PidFile": layout.state / "slurmdbd.pid",
        "LogFile": layout.logs / "slurmdbd.log",
        "StorageType": "accounting_storage/mysql",
        "StorageHost": "localhost",  # through the socket in MYSQL_UNIX_PORT
        "StorageUser": "root",
        "StorageLoc": "slurm",
    }
    return "\n".join(f"{key}={value}" for key, value in settings.items()) + "\n"
