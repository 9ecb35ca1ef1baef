"""`petl fetch`, with Hugging Face's own library and a server of its protocol on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import foreign_models as foreign
import huggingface_hub
import pytest
from safetensors.torch import save_file

from petl.backbones.families import build_encoder
from petl.backbones.hub import Hub, is_published, missing
from petl.backbones.library import read_checkpoint, revision_of
from petl.config.study import expand
from petl.config.yamlfile import parse_value
from petl.places import Places

NAME, OLD, NEW = "someone/ast", "a" * 40, "b" * 40
STUDY = """\
matrix: {dataset: esc50, backbone: [theirs, ast-small], method: linear, fold: 0, seed: 0}
backbones: {theirs: {backbone: {family: ast, source: someone/ast}}}
"""


class Server(ThreadingHTTPServer):
    newest = OLD

    def __init__(self, files: Path):
        super().__init__(("127.0.0.1", 0), Answers)
        self.files = files


class Answers(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        owner, name, _, revision, file = self.path.strip("/").split("/")
        content = self.server.files / file
        commit = self.server.newest if revision == "main" else revision
        if f"{owner}/{name}" != NAME or not content.is_file():
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
        else:
            self.send_response(200)
            self.send_header("ETag", f'"{commit[:8]}-{file}"')
            self.send_header("Content-Length", str(content.stat().st_size))
        self.send_header("X-Repo-Commit", commit)
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        content = self.server.files / self.path.rpartition("/")[2]
        if content.is_file():
            self.wfile.write(content.read_bytes())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(golden: Path) -> Iterator[Server]:
    """Like most repositories of that time it has pytorch_model.bin and no safetensors."""
    with Server(golden / "ast_tiny") as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.delenv("PETL_HF_REVISION", raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "users"))
    (tmp_path / "study.yaml").write_text(STUDY)
    return Places(tmp_path / "runs", tmp_path / "data", tmp_path / "cache")


def fetch(places: Places, server: Server, *options: str, code: int = 0) -> str:
    study = places.runs.parent / "study.yaml"
    command = [sys.executable, "-m", "petl.cli", "fetch", str(study), *options]
    endpoint = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}"}
    environment = os.environ | endpoint | {"PETL_CACHE": str(places.cache), "NO_PROXY": "*"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_fetched_weights_are_used_at_their_commit_without_a_network(
    places: Places, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = expand(parse_value(STUDY), "study")
    assert missing(tasks, places) == [NAME]
    assert f"{NAME}: commit {OLD}" in fetch(places, server)
    assert missing(tasks, places) == []
    server.newest = NEW
    assert f"{NAME} was here already: commit {OLD}" in fetch(places, server)

    def no_network(*args: object, **options: object) -> None:
        raise AssertionError("what was fetched is here")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", no_network)
    hub = Hub.of(places)
    assert read_checkpoint(NAME, hub)[0]["model_type"] == "audio-spectrogram-transformer"
    assert revision_of(NAME, hub) == OLD
    assert f"{NAME}: commit {NEW}" in fetch(places, server, "--update")
    assert revision_of(NAME, hub) == NEW
    finished = Hub.of(places, {NAME: OLD})  # a run that was trained before keeps its own
    assert revision_of(NAME, finished) == OLD


def test_a_name_that_is_not_there_is_one_line(places: Places, server: Server) -> None:
    (places.runs.parent / "study.yaml").write_text(STUDY.replace(NAME, "nobody/ast"))
    told = fetch(places, server, code=2)
    assert "petl: backbone.source: cannot fetch 'nobody/ast' from Hugging Face" in told
    assert "Traceback" not in told


def test_a_damaged_record_of_commits_is_no_record(places: Places) -> None:
    hub = Hub.of(places)
    hub.folder.mkdir(parents=True)
    for text in ("", "[1]", '{"someone/ast": "../../etc"}', '{"someone/ast": 3}'):
        hub.record.write_text(text)
        assert hub.commit(NAME) is None
    hub.write_down(NAME, OLD)
    assert hub.commit(NAME) == OLD and hub.snapshot(NAME) is None


def test_folders_and_what_comes_with_petl_are_not_published(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    for source in ("builtin:small", str(tmp_path / "here"), "../x", "a/b/c", "/a/b", "one"):
        assert not is_published(source)
    assert is_published("MIT/ast-finetuned-audioset-10-10-0.4593")


def test_a_fetched_checkpoint_in_another_layout_is_used_by_its_name(places: Places) -> None:
    """As the library lays out its cache, with the config.json that timm publishes."""
    hub, name = Hub.of(places), "someone/vit_small.audiomae"
    folder = hub.folder / f"models--{name.replace('/', '--')}" / "snapshots" / OLD
    folder.mkdir(parents=True)
    model = {"num_heads": foreign.HEADS, "img_size": [foreign.FRAMES, 128]}
    (folder / "config.json").write_text(json.dumps({"architecture": "vit", "model_args": model}))
    save_file(foreign.timm(), folder / "model.safetensors")
    hub.write_down(name, OLD)
    tasks = expand(parse_value(STUDY.replace(NAME, name)), "study")
    assert missing(tasks, places) == []
    encoder = build_encoder(tasks[0].backbone, foreign.FRAMES, hub)
    assert encoder.origin is not None and encoder.origin.layout == "audio_mae"
    assert revision_of(name, hub) == OLD
