"""What the probe brought back, judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from petl.runs.claim import SILENT_S
from slurm.doctor.errand import Brought
from slurm.doctor.findings import Finding, Patient, failure, ok, warning
from slurm.doctor.software import SAME, user_site_warning
from slurm.words import duration, several, size

SLOW_IMPORTS_S, SLOW_FILES_S, CLOCK_S = 60, 5.0, 5.0
DRIVERS = {11: "450.80.02", 12: "525.60.13", 13: "580.65.06"}
"""The least for each CUDA, within which its minor versions are compatible."""
NATIVE = {"11.7": "515.43.04", "11.8": "520.61.05"}
MODERN = "build on the current stack (README), or choose older GPUs: `gpu_type:`, `constraint:`"


def judged(patient: Patient, brought: Brought) -> list[Finding]:
    found = [replace(one, check="the job") for one in _job(brought)]
    if brought.facts is not None:
        here, there = brought.here, brought.facts
        for check in COMPARISONS:
            name = check.__name__.replace("_", " ")
            found += [replace(one, check=name) for one in check(patient, here, there)]
        found += [replace(one, check="files and clocks") for one in _between(brought)]
        found += [replace(one, check="signals") for one in _signals(patient, brought)]
    return found


def _job(brought: Brought) -> Iterator[Finding]:
    if brought.trouble:
        level = warning if brought.waited_only else failure
        yield level(brought.trouble, brought.todo)
    elif brought.facts:
        where = f"on {brought.facts['node']}, after {duration(brought.waited_s)} in the queue"
        yield ok(f"job {brought.facts['job']} ran {where}; Python in {brought.started_s:.1f} s")


# --- one side against the other -------------------------------------------------------------------

Facts = dict[str, Any]


def versions(patient: Patient, here: Facts, there: Facts) -> Iterator[Finding]:
    """Jobs carry names, paths and numbers, so most differences are bearable, but not looked for."""
    for name in SAME:
        if here[name] != there[name]:
            said = f"{name}: {here[name]} here, {there[name]} on the node"
            yield warning(said, "install the same on both sides")
    minor = [side["python"].rpartition(".")[0] for side in (here, there)]
    if minor[0] != minor[1]:
        said = f"Python {minor[0]} here, {minor[1]} on the node"
        yield warning(said, "submit from the same minor version")
    same = [name for name in SAME if here[name] == there[name]]
    if minor[0] == minor[1]:
        same.insert(0, f"Python {minor[0]}")
    if same:
        yield ok(f"the same on both sides: {', '.join(same)}")


def code(patient: Patient, here: Facts, there: Facts) -> Iterator[Finding]:
    if there["shadow"]:
        yield failure(f"on the node, {there['shadow']}", "pip uninstall petl, in the image")
    if here["petl"] != there["petl"]:
        said = f"petl {here['petl']} here, {there['petl']} on the node"
        yield failure(said, "rebuild the image, or submit from its version")
    elif here["commit"] != there["commit"] and None not in (here["commit"], there["commit"]):
        said = f"commit {here['commit'][:12]} here, {there['commit'][:12]} on the node"
        yield warning(said, "docker/build.sh makes an image of this commit")
    else:
        yield ok(f"petl {there['petl']}, commit {(there['commit'] or 'unknown')[:12]} on the node")
    lock, image = there["lock"], there["image"]
    yield ok(f"lock {lock[:12] if lock else 'unknown'}{f', image {image}' if image else ''}")
    if there["user_site"]:
        yield user_site_warning(there["user_site"])


def imports(patient: Patient, here: Facts, there: Facts) -> Iterator[Finding]:
    troubles, took = there["imports"]["troubles"], there["imports"]["seconds"]
    for name, trouble in troubles.items():
        yield failure(f"{name} cannot be imported: {trouble}", "pip install 'petl-ast[train]'")
    if took > SLOW_IMPORTS_S:
        todo = "each job pays this: an image, one file, is read faster than an environment"
        yield warning(f"importing took {duration(took)} on the node", todo)
    elif not troubles:
        yield ok(f"torch {there['torch']['version']} and the rest imported in {took:.1f} s")


def gpu(patient: Patient, here: Facts, there: Facts) -> Iterator[Finding]:
    if (torch := there["torch"]) is None or not patient.profile.gpus:
        return
    if torch["cuda"] is None:
        todo = "the image, or .venv of `make setup`, has one for CUDA"
        yield failure(f"torch {torch['version']} is built for CPUs only", todo)
    elif len(torch["gpus"]) < patient.profile.gpus:
        smi = "nvidia-smi sees " + (", ".join(card[0] for card in there["cards"]) or "none either")
        asked = several(patient.profile.gpus, "GPU")
        todo = (
            "a container needs its GPU option (--nv), a node its driver, the profile its gpu_type"
        )
        yield failure(f"{len(torch['gpus'])} of {asked} visible to torch; {smi}", todo)
    for card in torch["gpus"]:
        name, capability = card["name"], ".".join(map(str, card["capability"]))
        if not has_kernels(torch["built_for"], *card["capability"]):
            knows = ", ".join(torch["built_for"])
            yield failure(
                f"torch {torch['version']} knows {knows}, not {name} ({capability})", MODERN
            )
        elif "trouble" not in torch:
            memory = size(card["bytes"])
            yield ok(f"{name}, {memory}, capability {capability}, CUDA {torch['cuda']}: computes")
    if "trouble" in torch:
        yield failure(f"CUDA fails: {torch['trouble']}", "another node; else ask those who run it")


def has_kernels(built_for: list[str], major: int, minor: int) -> bool:
    """Machine code serves later GPUs of its own generation, PTX (compute_) all later ones."""
    for kind, _, version in (name.partition("_") for name in built_for):
        digits = "".join(c for c in version if c.isdigit())  # sm_90a
        built = (int(digits[:-1]), int(digits[-1]))
        if kind == "compute" and built <= (major, minor):
            return True
        if kind == "sm" and built[0] == major and built[1] <= minor:
            return True
    return False


def driver(patient: Patient, here: Facts, there: Facts) -> Iterator[Finding]:
    cuda = (there["torch"] or {}).get("cuda")
    if not patient.profile.gpus or cuda is None or there["driver"] is None:
        return
    major = int(cuda.partition(".")[0])
    least, native, has = DRIVERS.get(major, "0"), NATIVE.get(cuda), there["driver"]
    if _numbers(has) < _numbers(least):
        yield failure(f"driver {has}: CUDA {cuda} needs {least} or later", "ask for a newer driver")
    elif native and _numbers(has) < _numbers(native):
        yield ok(f"driver {has}: enough for CUDA {cuda}, made for {native} (minor compatibility)")
    else:
        yield ok(f"driver {has}: enough for CUDA {cuda}")


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


def folders(patient: Patient, here: Facts, there: Facts) -> Iterator[Finding]:
    fine = []
    for name, seen in there["folders"].items():
        path = vars(patient.places)[name]
        if not seen["same"]:
            todo = f"PETL_{name.upper()} names a folder that all nodes share"
            yield failure(f"{name}: {path} is not the same folder on the node", todo)
        elif seen["trouble"] and name != "data":
            todo = "check its rights, and those of the container's bind"
            yield failure(f"{name}: {path} on the node: {seen['trouble']}", todo)
        else:
            fine.append(name)
    for bind in there["binds"]:
        yield failure(f"{bind} is not there inside the container", "`container: binds:`")
    if fine:
        yield ok(f"the same and usable on the node: {', '.join(fine)}")
    if there["caches"]:
        names = ", ".join(there["caches"])
        yield warning(f"on the node, caches in your home: {names}", "`setup: [export ...]`")


COMPARISONS = (versions, code, imports, gpu, driver, folders)

# --- between the two ------------------------------------------------------------------------------


def _between(brought: Brought) -> Iterator[Finding]:
    if not brought.round_trips:
        return
    slowest, clock = max(brought.round_trips), brought.clock_s
    said = f"a file there and an answer back: {slowest:.1f} s"
    if slowest > SLOW_FILES_S:
        yield warning(said, "status lags by as much; nothing else depends on it")
    else:
        yield ok(said)
    # a measurement can tell no more than the time the files took
    said = f"clocks differ by {abs(clock):.1f} s, give or take {min(brought.round_trips) / 2:.1f} s"
    if abs(clock) > SILENT_S / 2:
        yield failure(said, "runs would be taken for dead: ask for NTP on the nodes")
    elif abs(clock) > CLOCK_S:
        yield warning(said, "times in logs and status are off by as much: ask for NTP")
    else:
        yield ok(said)


def _signals(patient: Patient, brought: Brought) -> Iterator[Finding]:
    what = {"SIGUSR2": "as before a time limit", "SIGTERM": "as in a preemption"}
    for name, took in brought.signals.items():
        if took is None:
            todo = "what starts Python must pass it on: `exec` in wrappers; no init in the image"
            yield failure(f"{name}, {what[name]}, does not reach Python", todo)
        else:
            yield ok(f"{name}, {what[name]}, reached Python in {took:.1f} s")
    if not patient.profile.requeue or None in brought.signals.values() or brought.trouble:
        return
    if brought.requeued_s is None:
        todo = "`scontrol requeue` is refused on the node; `petl submit` goes on with such jobs"
        yield failure("the interrupted job did not get back into the queue", todo)
    else:
        yield ok(f"the interrupted job was in the queue again after {brought.requeued_s:.1f} s")
