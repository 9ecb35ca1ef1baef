"""Import from an archive of code, and from nothing else, once its bytes have been checked.

A job gets the text of this file as words of its command line, of which Slurm keeps its own copy. So
nothing in a folder that others may write runs before its SHA-256 was compared, and what was
compared is what is unpacked, into a folder that only this user may enter.
"""

import atexit
import hashlib
import io
import json
import os
import shutil
import stat
import sys
import tempfile
import zipfile

LIMIT = 64 * 2**20
"""Bytes, packed or unpacked."""
LABEL = "petl-code.json"
"""Beside the unpacked packages: which code this is."""


def unpack(archive: str, sha256: str, into: str) -> None:
    """Raise OSError, or ValueError if these are not the bytes with this SHA-256."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(archive, flags), "rb") as file:
        regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        data = file.read(LIMIT) if regular else b""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError("its SHA-256 is another one")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > LIMIT:
                raise ValueError("too large")
            packed.extractall(into)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"not an archive of code: {error}") from None


def use(word: str) -> None:
    """Import from the archive that this word names, from now on and until Python ends."""
    code = json.loads(word)
    archive = code.pop("path")
    try:
        folder = tempfile.mkdtemp(prefix="petl-code-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        unpack(archive, code["archive"], folder)
        with open(os.path.join(folder, LABEL), "w") as file:  # noqa: PTH118, PTH123
            json.dump(code, file)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        again = "a job runs only the code it was submitted with; submit the study again"
        sys.exit(f"petl: {archive}: {why}; {again}")
    sys.dont_write_bytecode = True
    sys.path.insert(0, folder)
