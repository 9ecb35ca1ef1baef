"""The locks agree with what was asked for, and can be installed again in two years."""

import os
import re
import subprocess
import sys
import time
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
