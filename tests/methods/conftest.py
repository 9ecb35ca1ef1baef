"""Every preset's task on the tiny AST, and models made from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from tiny_encoders import make_model, over, tasks
from torch import Tensor

from petl.config import Task
from petl.model.build import Model


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On models this small, threads wait for each other most of the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def as_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Task]:
    return tasks(tmp_path_factory.mktemp("studies"), "as-run")


@pytest.fixture(scope="session")
def as_intended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Task]:
    return tasks(tmp_path_factory.mktemp("studies"), "as-intended")


Build = Callable[..., Model]


@pytest.fixture(scope="session")
def build(as_run: dict[str, Task]) -> Build:
    """`build("lora", scale=2.0)`: a preset's model with other settings of its method."""

    def make(name: str, **settings: Any) -> Model:
        task = as_run[name].to_json()
        method = over(task["method"], settings)
        return make_model(as_run[name], method)

    return make


@pytest.fixture(scope="session")
def x() -> Tensor:
    return torch.randn(3, 100, 128, generator=torch.Generator().manual_seed(1))
