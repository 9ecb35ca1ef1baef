"""Write environment.yml from requirements.lock: the same versions for a site without containers.

`make lock` runs this. Conda installs only Python and pip. Every package comes from PyPI in its
locked version: conda-forge builds against other libraries, which give other numbers.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

HEADER = """\
# Written by `make lock` from docker/requirements.lock: change docker/requirements.in instead.
#   conda env create -f environment.yml && conda activate petl-ast && pip install --no-deps -e .
# The lock's hashes are not checked here. Where that matters, use the image or `make setup`.
name: petl-ast
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.10
  - pip
  - pip:
"""


def main() -> None:
    lock = (ROOT / "docker" / "requirements.lock").read_text()
    pins = re.findall(r"^([\w.-]+==[\w.+!-]+)", lock, flags=re.MULTILINE)
    (ROOT / "environment.yml").write_text(HEADER + "".join(f"      - {pin}\n" for pin in pins))


if __name__ == "__main__":
    main()
