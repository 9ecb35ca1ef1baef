"""Container images: what is in them, and the scripts that build them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib
ROOT = Path(__file__).resolve().parent.parent
DOCKER = ROOT / "docker"


def image_locks() -> list[str]:
    """Of the two images."""
    return re.findall(r"\block=(\S+)", (DOCKER / "build.sh").read_text())[:2]


def stages() -> list[str]:
    """The Dockerfile's stages, comments and line continuations removed."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    return re.split(r"^FROM ", text.replace("\\\n", " "), flags=re.MULTILINE)[1:]


def test_image_installs_the_lock_and_checks_its_hashes():
    builder, _final = stages()
    from_lock, project = (
        install.split() for install in re.findall(r"pip install [^&\n]*", builder)
    )
    assert "--require-hashes" in from_lock and from_lock[-1] == "/src/docker/${LOCK}"
    assert "--no-deps" in project and "--no-index" in project and "-e" not in project


def test_image_has_no_compiler_and_no_root():
    final = stages()[-1]
    assert not re.search(r"\b(apt|apt-get|apk|conda|pip|gcc|g\+\+|build-essential)\b", final)
    users = re.findall(r"^USER (\d+)", final, flags=re.MULTILINE)
    assert users and users[-1] != "0"


def test_image_keeps_every_output_and_cache_out_of_the_home():
    environment = dict(re.findall(r"(\w+)=(/\S*)", stages()[-1]))
    made = re.search(r"install -d -m 1777 (.*)", stages()[-1]).group(1).split()
    assert environment["HOME"] in made
    for name in ["PETL_RUNS", "PETL_DATA", "PETL_CACHE", "XDG_CACHE_HOME", "HF_HOME",
                 "TORCH_HOME", "NUMBA_CACHE_DIR", "MPLCONFIGDIR"]:  # fmt: skip
        root = "/" + environment[name].split("/")[1]
        assert root in made and root != environment["HOME"], name


def test_an_image_keeps_what_results_quote_where_a_runtime_cannot_drop_it():
    """Charliecloud passes none of an image's variables on."""
    written = set(re.findall(r">/opt/petl/venv/([\w.-]+)", "".join(stages())))
    readers = ("provenance.py", "code/checkout.py")
    texts = "".join((ROOT / "petl/runs" / name).read_text() for name in readers)
    read = set(re.findall(r'left_behind\("(.+?)"\)', texts))
    assert written == read == {"lock.sha256", "git-commit", "base-image"}


def test_apptainers_definition_takes_the_archive_and_tests_it():
    text = (DOCKER / "petl.def").read_text()
    header, *rest = re.split(r"^%", text, flags=re.MULTILINE)
    said = dict(line.split(": ") for line in header.splitlines() if line and line[0] != "#")
    assert said == {"Bootstrap": "docker-archive", "From": "petl.tar"}
    assert "--archive petl.tar" in header
    sections = {name: body for name, _, body in (section.partition("\n") for section in rest)}
    assert sections.keys() == {"test", "help"}
    subprocess.run(["sh", "-n"], input=sections["test"], text=True, check=True, timeout=10)


@pytest.mark.parametrize("script", sorted(DOCKER.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_bash_that_stops_at_errors(script):
    subprocess.run(["bash", "-n", script], check=True, timeout=10)
    assert "set -euo pipefail" in script.read_text() and os.access(script, os.X_OK)


def test_without_an_engine_a_build_is_one_line_and_exit_code_2():
    build = subprocess.run(
        [DOCKER / "build.sh"],
        env=os.environ | {"ENGINE": "no-such-engine"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert build.returncode == 2
    assert len(build.stderr.splitlines()) == 1 and "no-such-engine" in build.stderr


@pytest.mark.parametrize("second", ["a" * 64, "b" * 64], ids=["same", "other"])
def test_a_check_builds_twice_and_names_the_files_that_differ(tmp_path, second):
    """With an engine that only hands out lists: of the image, then of the second build."""
    for name, digest in (("first", "a" * 64), ("second", second)):
        folder = tmp_path / name / "opt" / "petl" / "venv"
        folder.mkdir(parents=True)
        lines = [f"{'0' * 64}  ./lib/alike.py", f"{digest}  ./lib/module.py", ""]
        (folder / "files.sha256").write_text("\n".join(lines))
    engine = tmp_path / "bin" / "buildah"
    engine.parent.mkdir()
    engine.write_text(
        '#!/bin/sh\necho "$@" >>"$FAKE/calls"\n'
        "case $1 in from) case $3 in *-again) echo second;; *) echo first;; esac;;\n"
        'mount) echo "$FAKE/$2";; esac\n'
    )
    engine.chmod(0o755)
    made = {"ENGINE": "buildah", "BASE_IMAGE": "base@sha256:0", "TAG": "petl:test"}
    path = f"{engine.parent}{os.pathsep}{os.environ['PATH']}"
    build = subprocess.run(
        [DOCKER / "build.sh", "--stack", "modern", "--check"],
        env=os.environ | made | {"FAKE": str(tmp_path), "PATH": path},
        capture_output=True,
        text=True,
        timeout=30,
    )
    calls = (tmp_path / "calls").read_text()
    assert calls.count("build --platform") == 2 and "LOCK=requirements-modern-cuda.lock" in calls
    assert "--no-cache --target builder" in calls and "rmi petl:test-again" in calls
    if second == "a" * 64:
        assert build.returncode == 0 and "the same 2 files" in build.stdout
    else:
        assert build.returncode == 1
        assert "./lib/module.py" in build.stderr and "alike" not in build.stderr


def test_an_archive_that_is_there_is_kept(tmp_path):
    archive = tmp_path / "petl.tar"
    archive.write_text("mine")
    build = subprocess.run(
        [DOCKER / "build.sh", "--archive", archive], capture_output=True, text=True, timeout=30
    )
    assert build.returncode == 2 and str(archive) in build.stderr
    assert archive.read_text() == "mine"


def test_what_the_image_copies_is_let_through_to_it():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["setuptools"]["packages"]["find"]["include"]
    needed = {name for name in packages if "." not in name}
    assert needed | {"pyproject.toml", *(f"docker/{lock}" for lock in image_locks())} <= allowed
