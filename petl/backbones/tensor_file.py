"""Read tensors from untrusted files without running code from them.

A safetensors file is numbers and a JSON header. A `.pt`, `.pth` or `.bin` file is a zip archive
with a pickle in it, and a pickle is a program. torch's own `weights_only=True` does not help on
torch 1.13: it hands an archive that holds TorchScript to `torch.jit.load`. So the archive is read
here, by an unpickler that knows tensors, dicts, lists and plain values, and nothing else.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from petl.errors import UserError, reason

MAX_PICKLE = 16 * 2**20
"""Bytes of data.pkl, which has names and shapes only: about 2 MB for 10,000 tensors."""
SCRIPT = ("constants.pkl", "code/")
"""Entries that only TorchScript archives have."""
STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class Refused(Exception):
    """The reason why a file is refused."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The named tensors of a safetensors file or of a plain torch archive."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(str(path)))
        return _read_archive(path)
    except OSError as error:
        raise UserError(f"{path}: {reason(error)}") from None
    except MemoryError:
        raise
    except Exception as error:  # each library raises its own errors for a broken file
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"{path}: cannot be read as weights: {lines[0]}") from None


def _read_archive(path: Path) -> dict[str, Tensor]:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise Refused(
            "not a torch archive (torch older than 1.6 wrote bare pickles, which are not read: "
            "load it where you trust it and save it as safetensors)"
        ) from None
    with archive:
        records = _records(archive, path.stat().st_size)
        program = archive.read(records["data.pkl"])
        _check_program(program)
        found = _Reader(program, archive, records).load()
    if not isinstance(found, dict) or not all(isinstance(one, _Recipe) for one in found.values()):
        raise Refused("it holds something other than named tensors")
    return {str(name): recipe.tensor() for name, recipe in found.items()}


def _records(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The archive's entries without their common folder, checked before reading any."""
    records = {info.filename.partition("/")[2]: info for info in archive.infolist()}
    if any(name.startswith(SCRIPT) for name in records):
        raise Refused("a TorchScript archive: it holds code, and code in checkpoints is not run")
    if "data.pkl" not in records:
        raise Refused("no data.pkl in it: not written by torch.save")
    if any(info.compress_type != zipfile.ZIP_STORED for info in records.values()):
        raise Refused("it is compressed, which torch.save never does")
    # entries may overlap in a crafted file: together they cannot hold more than the file does
    if sum(info.file_size for info in records.values()) > size:
        raise Refused("its entries are larger than the file")
    if records["data.pkl"].file_size > MAX_PICKLE:
        raise Refused(f"its data.pkl is larger than {MAX_PICKLE >> 20} MiB")
    return records


def _check_program(program: bytes) -> None:
    """Five bytes can exhaust memory: the unpickler allocates up to the largest memo index.

    FRAME, LONG4 and others announce lengths; pickletools compares those with the data.
    """
    for steps, (opcode, argument, _) in enumerate(pickletools.genops(program), 1):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument) > steps:
            raise Refused("its data.pkl is damaged, or made to exhaust memory")
        if opcode.name in ("INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"):
            raise Refused("it holds objects other than tensors")


@dataclass(frozen=True)
class _Storage:
    dtype: torch.dtype
    content: bytes


@dataclass(frozen=True)
class _Recipe:
    """A tensor's shape and strides, checked against its storage before torch sees them."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def __setstate__(self, state: Any) -> None:
        raise Refused("a tensor with a state of its own")

    def tensor(self) -> Tensor:
        whole = (
            torch.frombuffer(bytearray(self.storage.content), dtype=self.storage.dtype)
            if self.storage.content
            else torch.empty(0, dtype=self.storage.dtype)
        )
        numbers = (self.offset, *self.size, *self.stride)
        if len(self.size) != len(self.stride) or any(type(n) is not int or n < 0 for n in numbers):
            raise Refused("a tensor with an impossible shape")
        count = prod(self.size)
        last = self.offset + sum(
            (n - 1) * step for n, step in zip(self.size, self.stride, strict=True)
        )
        # with a stride of 0, one number could become a terabyte
        if count and (last >= len(whole) or count > len(whole)):
            raise Refused("a tensor that is larger than its data")
        return whole.as_strided(self.size, self.stride, self.offset).contiguous()


class _Names(dict[Any, Any]):
    """For OrderedDict: ignore `_metadata`, which a state_dict has as its state."""

    def __setstate__(self, state: Any) -> None:
        pass


def _rebuild(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _Recipe:
    if not isinstance(storage, _Storage) or not isinstance(size, tuple):
        raise Refused("a tensor without data")
    return _Recipe(storage, offset, size, stride)


def _parameter(data: Any, *_: Any) -> _Recipe:
    if not isinstance(data, _Recipe):
        raise Refused("a parameter that is not a tensor")
    return data


class _Reader(pickle.Unpickler):
    def __init__(
        self, program: bytes, archive: zipfile.ZipFile, records: dict[str, zipfile.ZipInfo]
    ):
        super().__init__(io.BytesIO(program), encoding="utf-8")
        self.archive, self.records = archive, records
        self.storages: dict[str, _Storage] = {}
        # a pickle may set attributes of these classes, so each file gets its own
        self.known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): type("Names", (_Names,), {}),
            ("torch._utils", "_rebuild_tensor_v2"): lambda *given: _rebuild(*given),
            ("torch._utils", "_rebuild_parameter"): lambda *given: _parameter(*given),
        }

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        if (module, name) not in self.known:
            raise Refused(f"it asks for {module}.{name}, and only tensors are read")
        return self.known[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        if not isinstance(pid, tuple) or len(pid) != 5 or pid[0] != "storage":
            raise Refused("it refers to something other than a tensor's data")
        _, dtype, key, _, _ = pid
        if not isinstance(dtype, torch.dtype) or f"data/{key}" not in self.records:
            raise Refused(f"the data of a tensor ({key!r}) is missing")
        if key not in self.storages:
            content = self.archive.read(self.records[f"data/{key}"])
            self.storages[key] = _Storage(dtype, content)
        return self.storages[key]
