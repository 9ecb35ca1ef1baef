#!/usr/bin/env python3
"""Test an image as a cluster runs it: docker/smoke_test.py IMAGE [--compare PYTHON] [-- OPTIONS]

Start it under a uid that it does not know, with a read-only root, without network, and with only
/runs, /data and /cache mounted. Import everything, run one task of the quickstart study, and check
the origin in its result.json. With --compare (.venv/bin/python), run the same task there and
require the same numbers, bit for bit. OPTIONS go to the engine's `run`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
UID = 54321
LIMIT_S = 900
TASK = ("--method", "lora", "--fold", "0")
IMPORTS = "import petl.cli, slurm, analysis, librosa, seaborn, soundfile, torch, transformers"
LOCKS = {"pinned": "requirements.lock", "modern": "requirements-modern-cuda.lock"}
SAME = ("run_id", "task", "params", "metrics", "best_epoch", "epochs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image")
    parser.add_argument("--compare", metavar="PYTHON", type=Path)
    argv, options = sys.argv[1:], []
    if "--" in argv:
        cut = argv.index("--")
        argv, options = argv[:cut], argv[cut + 1 :]
    arguments = parser.parse_args(argv)

    engine = output(str(ROOT / "docker" / "engine.sh")).strip()
    if engine == "buildah":
        sys.exit("smoke_test.py: buildah cannot run images; set ENGINE=docker or ENGINE=podman")
    (facts,) = json.loads(output(engine, "image", "inspect", arguments.image))
    image = f"{arguments.image}@sha256:{facts['Id'].removeprefix('sha256:')}"
    work = Path(tempfile.mkdtemp(prefix="petl-smoke-"))
    try:
        mounts = prepare(work / "image")
        sealed = ["--rm", "--read-only", "--network=none", f"--user={UID}:{UID}"]
        if engine == "podman":
            sealed.append("--read-only-tmpfs=false")  # docker adds no /tmp either
        variables = ["--env", f"PETL_IMAGE={image}", "--env", "OMP_NUM_THREADS=1"]
        command = [engine, "run", *sealed, *mounts, *variables, *options]
        step("petl --version", *command, arguments.image, "--version")
        step("imports", *command, "--entrypoint", "python", arguments.image, "-c", IMPORTS)
        step("one task", *command, arguments.image, "train", "/data/quickstart.yaml", *TASK)
        inside = Run(work / "image")
        check_origin(inside, facts["Config"]["Labels"], image)
        if arguments.compare:
            compare(inside, arguments.compare, work / "here")
    finally:
        shutil.rmtree(work, ignore_errors=True)


class Run:
    """The one run under a folder's runs/."""

    def __init__(self, folder: Path) -> None:
        (self.file,) = (folder / "runs").glob("*/*/result.json")
        self.result: dict[str, Any] = json.loads(self.file.read_text())
        rows = (self.file.parent / "metrics.jsonl").read_text().splitlines()
        self.epochs = [{**json.loads(row), "seconds": None} for row in rows]

    def numbers(self) -> dict[str, Any]:
        return {**{key: self.result[key] for key in SAME}, "each epoch": self.epochs}


def prepare(folder: Path) -> list[str]:
    mounts = []
    for name in ("runs", "data", "cache"):
        (folder / name).mkdir(parents=True)
        (folder / name).chmod(0o1777)
        mounts += ["--volume", f"{folder / name}:/{name}"]
    for path in (folder, folder.parent):
        path.chmod(0o755)
    shutil.copy(ROOT / "experiments" / "quickstart.yaml", folder / "data")
    return mounts


def check_origin(run: Run, labels: dict[str, str], image: str) -> None:
    lock = hashlib.sha256((ROOT / "docker" / LOCKS[labels["petl-ast.stack"]]).read_bytes())
    expected = {
        "image": image,
        "base_image": labels["org.opencontainers.image.base.name"],
        "git_commit": labels["org.opencontainers.image.revision"],
        "lock_hash": lock.hexdigest(),
    }
    found = {key: run.result["environment"][key] for key in expected}
    if found != expected or not all(expected.values()):
        sys.exit(f"the result records the origin\n  {found}\ninstead of\n  {expected}")
    if (owner := run.file.stat().st_uid) != UID:
        sys.exit(f"the result belongs to uid {owner} instead of {UID}")
    for key, value in found.items():
        print(f"     {key}: {value}")


def compare(inside: Run, python: Path, folder: Path) -> None:
    prepare(folder)
    names = {f"PETL_{name.upper()}": str(folder / name) for name in ("runs", "data", "cache")}
    study = str(ROOT / "experiments" / "quickstart.yaml")
    command = [str(python.absolute()), "-m", "petl.cli", "train", study, *TASK]
    step(f"the same with {python}", *command, env={**names, "OMP_NUM_THREADS": "1"}, cwd=ROOT)
    here, there = Run(folder), inside
    for key in ("python", "torch", "threads", "lock_hash"):
        if here.result["environment"][key] != there.result["environment"][key]:
            sys.exit(f"cannot compare: {key} differs between {python} and the image")
    if here.numbers() != there.numbers():
        sys.exit(f"different numbers:\n  {here.numbers()}\n  {there.numbers()}")
    accuracy = here.result["metrics"]["test_last"]
    print(f"     the same bits in {len(here.epochs)} epochs: {accuracy}")


def output(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=LIMIT_S)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def step(
    title: str, *command: str, env: dict[str, str] | None = None, cwd: Path | None = None
) -> None:
    start = time.monotonic()
    done = subprocess.run(
        command,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
    )
    if done.returncode:
        sys.exit(f"{title}: exit code {done.returncode}\n{done.stdout}")
    print(f"ok   {title} ({time.monotonic() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
