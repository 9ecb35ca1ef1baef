"""A file that somebody else made is numbers, or it is refused: it never runs code."""

from __future__ import annotations

import io
import os
import pickle
import resource
import time
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from petl.backbones import tensor_file
from petl.backbones.tensor_file import read_tensors
from petl.errors import UserError


class Touch:
    """Unpickled by Python, it makes a file: what an attacker's object would do."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.path}'",)


def archive(path: Path, program: bytes, **others: bytes) -> Path:
    """What torch.save would write, with a pickle of our own."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", program)
        file.writestr("archive/version", b"3\n")
        for name, content in others.items():
            file.writestr(f"archive/{name.replace('__', '/')}", content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as error:
        read_tensors(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


def test_what_torch_saves_is_read_to_the_bit(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    state = OrderedDict(model.state_dict())
    state["half"] = torch.randn(3).half()
    state["turned"] = torch.randn(4, 2).bfloat16().t()
    state["parameter"] = nn.Parameter(torch.randn(2))
    state["part"] = torch.arange(10)[3:7]
    state["none"] = torch.empty(0, 3)
    state["yes"] = torch.tensor(True)
    torch.save(state, tmp_path / "model.pt")
    found = read_tensors(tmp_path / "model.pt")
    assert list(found) == list(state)
    for name, tensor in state.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor), name


def test_an_object_in_a_checkpoint_does_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    torch.save({"weight": torch.ones(2), "extra": Touch(mark)}, tmp_path / "model.pt")
    assert "only tensors are read" in refusal(tmp_path / "model.pt")
    assert not mark.exists()
    pickle.loads(pickle.dumps(Touch(mark)))  # the attack is real: Python's own unpickler falls
    assert mark.exists()


def test_a_torchscript_archive_never_reaches_torch_jit(tmp_path: Path, monkeypatch: Any) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "model.pt"))
    monkeypatch.setattr(torch.jit, "load", lambda *a, **k: pytest.fail("torch.jit.load was called"))
    assert "TorchScript" in refusal(tmp_path / "model.pt")


@pytest.mark.parametrize("extra", ["constants.pkl", "code__model.py"])
def test_code_beside_tensors_is_refused(tmp_path: Path, extra: str) -> None:
    torch.save({"weight": torch.ones(2)}, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain:
        program = plain.read(next(n for n in plain.namelist() if n.endswith("data.pkl")))
    crafted = archive(tmp_path / "model.pt", program, data__0=b"\0" * 8, **{extra: b"x"})
    assert "TorchScript" in refusal(crafted)


def test_old_bare_pickles_are_refused(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    (tmp_path / "model.pt").write_bytes(pickle.dumps(Touch(mark)))
    assert "not a torch archive" in refusal(tmp_path / "model.pt")
    torch.save({"a": Touch(mark)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert "not a torch archive" in refusal(tmp_path / "old.pt")
    assert not mark.exists()


def tensor_program(size: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> bytes:
    """The pickle of {"w": tensor} with a shape of our own over two floats."""

    class Storage:
        pass

    class Pickler(pickle._Pickler):  # type: ignore[name-defined]  # the one in Python can be bent
        def persistent_id(self, value: Any) -> Any:
            return ("storage", torch.FloatStorage, "0", "cpu", 2) if value is storage else None

    class Rebuilt:
        def __reduce__(self) -> tuple[Any, ...]:
            from torch._utils import _rebuild_tensor_v2

            return _rebuild_tensor_v2, (storage, offset, size, stride, False, OrderedDict())

    storage, buffer = Storage(), io.BytesIO()
    Pickler(buffer, protocol=2).dump({"w": Rebuilt()})
    return buffer.getvalue()


def test_the_crafted_pickles_here_are_what_the_reader_takes(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.pt", tensor_program((2,), (1,)), data__0=b"\0\0\x80?" * 2)
    assert torch.equal(read_tensors(path)["w"], torch.ones(2))


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [((3,), (1,), 0), ((2,), (1,), 1), ((2,), (1,), -1), ((10**12,), (0,), 0), ((2,), (-1,), 1)],
    ids=["too long", "too far", "before", "a terabyte from one number", "backwards"],
)
def test_a_tensor_larger_than_its_data_is_refused(
    tmp_path: Path, size: tuple[int, ...], stride: tuple[int, ...], offset: int
) -> None:
    program = tensor_program(size, stride, offset)
    refusal(archive(tmp_path / "model.pt", program, data__0=b"\0" * 8))


BOMBS = {
    "a memo index of 2^31": b"\x80\x02}r\xff\xff\xff\x7f.",
    "a string of 4 GB": b"\x80\x02X\xff\xff\xff\xff.",
    "a number of 2 GB": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "no end": b"\x80\x02}",
    "nothing": b"",
    "text of digits": b"\x80\x02I" + b"9" * 200_000 + b"\n.",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_pickle_that_would_exhaust_memory_is_refused_at_once(tmp_path: Path, bomb: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    refusal(archive(tmp_path / "model.pt", BOMBS[bomb]))
    assert time.process_time() - start < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


def test_a_compressed_or_overlapping_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.pt", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", tensor_program((2,), (1,)))
        file.writestr("archive/data/0", bytes(300_000_000))
    assert (tmp_path / "model.pt").stat().st_size < 1_000_000
    assert "compressed" in refusal(tmp_path / "model.pt")


def test_a_file_leaves_no_mark_on_the_reader(tmp_path: Path) -> None:
    """BUILD with a pair sets attributes of whatever the pickle was handed: here of a function."""
    program = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(N}X\x04\x00\x00\x00markNstb."
    assert hasattr(pickle.loads(program), "mark")  # the attack is real
    refusal(archive(tmp_path / "crafted.pt", program))
    assert not hasattr(tensor_file._rebuild, "mark")
    del torch._utils._rebuild_tensor_v2.mark
