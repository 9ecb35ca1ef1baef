"""The environment files agree with each other, and can be installed again in two years."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
DOCKER = ROOT / "docker"
ROOMS = ("petl", "slurm", "analysis", "experiments")
MINE = """
matrix: {dataset: mine, backbone: ast-small, method: linear, fold: 0, seed: 0}
datasets:
  mine:
    dataset: {corpus: made-sounds, layout: esc50, classes: 10, folds: 5, frames: 100, split: paper,
      spec_augment: null}
    train: {epochs: 1, batch_size: 16}
"""

every_stack = pytest.mark.parametrize(
    "stack", ["requirements", "requirements-dev", "requirements-modern", "requirements-modern-cuda"]
)


def lock_text(stack: str) -> str:
    return (DOCKER / f"{stack}.lock").read_text()


def locked(stack: str) -> dict[str, str]:
    pins = re.findall(r"^([\w.-]+)==(\S+)", lock_text(stack), flags=re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}


def asked_for(file: str) -> list[Requirement]:
    """What a hand-written file asks for, without its comments and options."""
    lines = (line.split("#")[0].strip() for line in (DOCKER / file).read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def project_asks_for(but: str = "") -> list[Requirement]:
    """With all extras but one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    groups = [project["dependencies"], *(extras[name] for name in extras if name != but)]
    return [Requirement(text) for group in groups for text in group]


def unmet(requirements: list[Requirement], pins: dict[str, str]) -> list[str]:
    def met(wanted: Requirement) -> bool:
        version = pins.get(canonicalize_name(wanted.name))
        return version is not None and version in wanted.specifier

    return [str(wanted) for wanted in requirements if not met(wanted)]


@every_stack
def test_every_locked_package_has_a_hash(stack):
    entries = re.split(r"^(?=[\w.-]+==)", lock_text(stack), flags=re.MULTILINE)[1:]
    assert len(entries) == len(locked(stack)) > 0
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


@every_stack
def test_a_lock_names_no_index_and_no_machine(stack):
    code = re.sub(r"^#.*", "", lock_text(stack), flags=re.MULTILINE)
    assert not re.search(r"://|/|--(?!hash=)", code)


@every_stack
def test_the_lock_pins_what_was_asked_for(stack):
    assert unmet(asked_for(f"{stack}.in"), locked(stack)) == []


def test_the_pinned_stack_is_the_one_the_numbers_came_from():
    pins = locked("requirements")
    assert pins["torch"] == "1.13.1"
    assert pins["transformers"] == "4.28.1"
    assert pins["librosa"] == "0.9.2"
    assert pins["nvidia-cuda-runtime-cu11"].startswith("11.7")


def test_the_checks_use_the_pinned_stack_unchanged():
    pinned, dev = locked("requirements"), locked("requirements-dev")
    assert {name: dev[name] for name in dev.keys() & pinned.keys()}.items() <= pinned.items()


def test_both_stacks_hold_what_the_project_asks_for():
    """Notebooks are for a workstation: the image is without them."""
    pinned = locked("requirements")
    assert unmet(project_asks_for(but="notebooks"), pinned) == []
    assert unmet(project_asks_for(), pinned | locked("requirements-dev")) == []
    modern = locked("requirements-modern") | {"torch": modern_torch()}
    assert unmet(project_asks_for(), modern) == []


def modern_torch() -> str:
    return re.search(r"^torch==(\S+)", (DOCKER / "torch-modern.txt").read_text(), re.M)[1]


def test_the_modern_image_has_the_versions_that_the_tests_run_on():
    tested, image = locked("requirements-modern"), locked("requirements-modern-cuda")
    assert unmet(project_asks_for(but="notebooks"), image) == []
    assert image["torch"] == modern_torch()
    assert {name: image[name] for name in image.keys() & tested.keys()}.items() <= tested.items()


def test_the_modern_torch_is_named_in_one_place():
    assert "torch" not in locked("requirements-modern")
    files = [ROOT / "Makefile", ROOT / "pyproject.toml", *DOCKER.glob("*.*")]
    naming = [file.name for file in files if f"torch=={modern_torch()}" in file.read_text()]
    assert sorted(naming) == ["requirements-modern-cuda.lock", "torch-modern.txt"]


@pytest.mark.parametrize("name", ["torch-modern.txt", "uv.txt"])
def test_what_no_lock_has_is_pinned_with_hashes(name):
    lines = [line for line in (DOCKER / name).read_text().splitlines() if line[0] != "#"]
    assert re.fullmatch(r"\w+==[\d.]+ \\", lines[0])
    assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in lines[1:])
    installs = [(ROOT / file).read_text() for file in ("Makefile", "docker/find_python.sh")]
    assert all("--require-hashes -r" in text and "--quiet uv" not in text for text in installs)


def test_conda_twin_agrees_with_the_lock():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, _pip, packages = conda["dependencies"]
    twin = dict(pin.split("==") for pin in packages["pip"])
    assert python == "python=3.10"
    assert twin == locked("requirements")


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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, because setuptools leaves a build folder behind."""
    copy = tmp_path_factory.mktemp("wheel")
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, copy)
    for room in ROOMS:
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", "wheel", "."]
    subprocess.run([*pip, *offline], cwd=copy, check=True, timeout=120)
    (wheel,) = (copy / "wheel").iterdir()
    return wheel


def test_a_wheel_holds_every_module_and_data_file(wheel):
    packed = set(zipfile.ZipFile(wheel).namelist())
    files = {
        path.relative_to(ROOT)
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {str(path) for path in files} - packed == set()


@pytest.mark.slow
def test_a_wheel_works_outside_a_checkout(wheel, tmp_path):
    """In a new environment, which borrows all packages but ours from this one."""
    env, work = tmp_path / "env", tmp_path / "work"
    work.mkdir()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PETL_")}
    clean.pop("PYTHONPATH", None)

    def run(*command):
        done = subprocess.run(command, cwd=work, env=clean, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(sys.executable, "-m", "venv", "--without-pip", env)
    python = env / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    run(*pip, "--no-deps", "--no-index", "--no-warn-script-location", wheel)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    assert str(site) in run(python, "-c", "import petl, experiments; print(petl.__file__)")

    petl = env / "bin" / "petl"
    assert "30 runs" in run(petl, "plan", "quickstart") or "of 30" in run(
        petl, "plan", "quickstart"
    )
    (work / "mine.yaml").write_text(MINE)
    run(petl, "train", "mine")
    assert "done" in run(petl, "plan", "mine", "--list")
    run(petl, "table", "mine")
    run(petl, "report", "mine", "--out", "report.html")
    assert "<style>" in (work / "report.html").read_text()


def test_the_python_found_runs_and_is_the_version_asked_for():
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = subprocess.run(
        [DOCKER / "find_python.sh", version], capture_output=True, text=True, check=True, timeout=30
    )
    report = "import sys, venv; print(sys.version.split()[0])"
    run = [found.stdout.strip(), "-c", report]
    answer = subprocess.run(run, capture_output=True, text=True, check=True, timeout=30)
    assert answer.stdout.startswith(f"{version}.")


def test_a_python_that_does_not_exist_is_one_line_and_exit_code_2():
    start = time.monotonic()
    found = subprocess.run(
        [DOCKER / "find_python.sh", "3.99"],
        env=os.environ | {"PETL_PYTHON_DOWNLOAD": "0"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert found.returncode == 2
    assert found.stdout == ""
    assert len(found.stderr.splitlines()) == 1 and "3.99" in found.stderr
    assert time.monotonic() - start < 5
