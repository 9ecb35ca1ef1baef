"""Judge what the probe job found on the node, partly by comparing it with the login node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from petl.errors import several
from petl.runs.gpus import has_kernels
from slurm.doctor.findings import Context, Finding, failure, ok, warning
from slurm.doctor.probe_job import ProbeResult
from slurm.doctor.software import software_findings
from slurm.format import duration, size

Facts = dict[str, Any]


def judge(context: Context, result: ProbeResult) -> list[Finding]:
    findings = [replace(one, check="job") for one in _job(result)]
    if result.facts is not None:
        for check in CHECKS:
            found = check(context, result, result.facts)
            findings += [replace(one, check=check.__name__) for one in found]
    return findings


def _job(result: ProbeResult) -> Iterator[Finding]:
    if result.trouble:
        level = warning if result.never_started else failure
        yield level(result.trouble, result.todo)
    elif result.facts:
        waited = duration(result.waited_s)
        yield ok(f"job {result.facts['job']} ran on {result.facts['node']}, {waited} in the queue")


def software(context: Context, result: ProbeResult, facts: Facts) -> Iterator[Finding]:
    here = result.here
    if here["petl"] != facts["petl"]:
        text = f"petl {here['petl']} here, {facts['petl']} on the node"
        yield failure(text, "rebuild the image, or submit from the image's version")
    for what, todo in (
        ("commit", "build an image of this commit with docker/build.sh"),
        ("lock", "build both environments from the same docker/requirements.lock"),
    ):
        if here[what] and facts[what] and here[what] != facts[what]:
            yield warning(f"{what} {here[what][:12]} here, {facts[what][:12]} on the node", todo)
    yield from software_findings(facts, "on the node")


def imports(context: Context, result: ProbeResult, facts: Facts) -> Iterator[Finding]:
    for name, error in facts["import_errors"].items():
        todo = "pip install 'petl-ast[train]' on the node, or use an image"
        yield failure(f"{name} cannot be imported on the node: {error}", todo)


def gpu(context: Context, result: ProbeResult, facts: Facts) -> Iterator[Finding]:
    torch, asked = facts["torch"], context.profile.gpus
    if torch is None or not asked:
        return
    version = f"torch {torch['version']}"
    if torch["cuda"] is None:
        todo = "use the image, or the .venv of `make setup`; both have torch for CUDA"
        yield failure(f"{version} is built for CPUs only", todo)
    elif len(torch["gpus"]) < asked:
        todo = "check the profile's gpu_type, the container's GPU option (--nv), the node's driver"
        yield failure(f"torch sees {len(torch['gpus'])} of {several(asked, 'GPU')}", todo)
    if torch["error"]:
        todo = "try another node; if it fails there too, ask the cluster's support"
        yield failure(f"computing on the GPU fails: {torch['error']}", todo)
    for gpu in torch["gpus"]:
        capability = ".".join(map(str, gpu["capability"]))
        name = f"{gpu['name']} (compute capability {capability})"
        if not has_kernels(torch["built_for"], *gpu["capability"]):
            text = f"{version} has no kernels for {name}: only {', '.join(torch['built_for'])}"
            todo = "use the other image (docs/container.md), or set gpu_type to another GPU"
            yield failure(text, todo)
        elif not torch["error"]:
            yield ok(f"{name}, {size(gpu['bytes'])}, computes with {version}")


def folders(context: Context, result: ProbeResult, facts: Facts) -> Iterator[Finding]:
    for name, trouble in facts["folders"].items():
        if trouble:
            path = vars(context.places)[name]
            todo = f"set PETL_{name.upper()} to a folder that all nodes share and may write"
            yield failure(f"{name} folder {path} on the node: {trouble}", todo)
    if fine := [name for name, trouble in facts["folders"].items() if not trouble]:
        yield ok(f"the node sees the same folders: {', '.join(fine)}")


def signals(context: Context, result: ProbeResult, facts: Facts) -> Iterator[Finding]:
    what = {"SIGUSR2": "sent before the time limit", "SIGTERM": "sent at preemption"}
    for name, took in result.signals.items():
        if took is None:
            todo = "use `exec` in wrapper scripts, and no init program in the image"
            yield failure(f"{name}, {what[name]}, does not reach Python", todo)
        else:
            yield ok(f"{name}, {what[name]}, reached Python in {took:.1f} s")
    if not context.profile.requeue or None in result.signals.values() or result.trouble:
        return
    if result.requeued_s is None:
        todo = "the node refuses `scontrol requeue`; run `petl submit` again for interrupted runs"
        yield failure("the interrupted job did not return to the queue", todo)
    else:
        yield ok(f"the interrupted job was in the queue again after {result.requeued_s:.1f} s")


CHECKS = (software, imports, gpu, folders, signals)
