"""Damaged or hostile inputs of each kind, made from a Random, and what reads them."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import soundfile

from petl.config.selection import select, setting, some_tasks
from petl.config.study import EXPERIMENTS, load_study
from petl.config.yamlfile import parse_value
from petl.data import decode
from petl.runs.archive import format as archives
from petl.runs.archive.packing import pack, preview_unpack, unpack
from petl.runs.damage import damage_in
from petl.runs.directory import Runs
from petl.runs.synthetic import fabricate
from slurm.submit.profile import load_profile

PROFILE = Path(__file__).parents[2] / "slurm" / "clusters" / "devcluster.yaml"
ODD = ["", " ", "\0", "\n", "~", "null", "[]", "{}", "-1", "1e999", "9" * 5_000, "../..", "/etc"]
ODD += ["*", "[", "[z-a]", "!!int x", "&a [*a]", "*a", "<<", "é", "\ud800", "😀", "%j", "$(id)"]
ODD += ["[" * 400, "{a: " * 300, "0-1000000000", "2024-01-01", "!!binary x", "no", "010", ".nan"]
JSON = [None, True, -1, 2**70, 1e308, float("nan"), "", "x" * 300, "\0", [], {}, [[]], {"a": 1}]


def damaged(content: bytes, random: Random, within: int | None = None) -> bytes:
    """A few bytes changed, cut out, doubled or zeroed, near the beginning if `within` is given."""
    out = bytearray(content)
    for _ in range(random.choice([1, 1, 2, 4, 16])):
        at = random.randrange(min(len(out), within or len(out)) or 1)
        length = random.choice([1, 1, 4, 64])
        change = random.choice(["flip", "flip", "byte", "cut", "double", "zero"])
        if change == "flip" and out:
            out[at] ^= 1 << random.randrange(8)
        elif change == "byte" and out:
            out[at] = random.randrange(256)
        elif change == "cut":
            del out[at : at + length]
        elif change == "double":
            out[at:at] = out[at : at + length]
        elif out:
            out[at : at + length] = bytes(len(out[at : at + length]))
    return bytes(out)


def other_json(tree: Any, random: Random) -> Any:
    """Somewhere in the tree another value, no value, or a value more."""
    if not isinstance(tree, dict | list) or not tree or random.random() < 0.15:
        return random.choice(JSON)
    key = random.choice(list(tree)) if isinstance(tree, dict) else random.randrange(len(tree))
    tree = tree.copy()
    if random.random() < 0.2:
        del tree[key]
    else:
        tree[key] = other_json(tree[key], random)
    return tree


class Fuzz:
    def __init__(self, folder: Path):
        self.folder = folder
        self.texts = [path.read_text() for path in sorted(EXPERIMENTS.glob("*.yaml"))]
        self.texts += self.texts[:1] * 2  # the smallest
        self.tasks = load_study(EXPERIMENTS / "quickstart.yaml").tasks
        (folder / "small.yaml").write_text(
            "description: x\nprofile: as-run\nreport: test_last\nset: {train: {epochs: 2}}\n"
            "matrix: {dataset: esc50, backbone: ast, method: linear, fold: [0, 1, 2], seed: 1}\n"
        )
        self.study = load_study(folder / "small.yaml")
        fabricate(self.study, folder / "runs")
        fabricate(self.study, folder / "packed")
        self.runs, self.packed = (folder / name / self.study.name for name in ("runs", "packed"))
        pack(self.packed, [task.run_id for task in self.study.tasks])
        self.pair = {path: path.read_bytes() for path in (self.packed / "packed").iterdir()}
        noise = np.random.default_rng(0).normal(0, 0.1, 1_600)
        self.sounds = {}
        for kind in ("wav", "flac", "ogg", "mp3"):
            stream = io.BytesIO()
            soundfile.write(stream, noise, 16_000, format=kind.upper())
            self.sounds[kind] = stream.getvalue()

    # --- each is given a Random and tries one input

    def study_file(self, random: Random) -> None:
        text = random.choice(self.texts)
        for _ in range(random.choice([1, 1, 2, 3])):
            lines = text.splitlines() or [""]
            at = random.randrange(len(lines))
            key, colon, _ = lines[at].partition(":")
            change = random.randrange(6)
            if change == 0:
                lines[at] = f"{key}{colon} {random.choice(ODD)}"
            elif change == 1:
                lines[at] = f"{key}{colon} !!{random.choice(['int', 'set', 'omap', 'python/none'])}"
            elif change == 2:
                lines.insert(at, random.choice(lines))
            elif change == 3:
                del lines[at]
            elif change == 4:
                lines[at] = " " * random.randrange(8) + lines[at].lstrip()
            text = "\n".join(lines)
        content = text.encode(errors="surrogatepass")
        path = self.folder / "fuzzed.yaml"
        path.write_bytes(damaged(content, random) if random.random() < 0.4 else content)
        load_study(path)

    def selection_word(self, random: Random) -> None:
        names = ["fold", "seed", "dataset", "method", "backbone", "train.lr", "method.family"]
        wanted = self._text(random, ["0-2", "0,3", "esc*", "lora", "0.001", "[!a]*", "True"])
        name = random.choice(names) if random.random() < 0.8 else self._text(random, names)
        if random.random() < 0.3:
            some_tasks(self.tasks, Path("x.yaml"), **{random.choice(names[:5]): wanted})
        else:
            word = f"{name}={wanted}" if random.random() < 0.9 else wanted
            select(self.tasks, [word], setting, "x.yaml")

    def value(self, random: Random) -> None:
        parse_value(self._text(random, ["[1, 2]", "{a: 1}", "0.1", "5e-5", "a b", '"x"', "- 1"]))

    def profile_value(self, random: Random) -> None:
        keys = ["time", "partition", "gpus", "memory", "sbatch", "setup", "array", "x"]
        key = random.choice(keys) if random.random() < 0.8 else self._text(random, keys)
        load_profile(
            str(PROFILE), [f"{key}={self._text(random, ['1:00:00', '8G', '{a: 1}', '4'])}"]
        )

    def run_folder(self, random: Random) -> None:
        run = Runs(self.runs).run(random.choice(self.study.tasks).run_id)
        files = sorted(run.path.iterdir())
        whole = {file: file.read_bytes() for file in files}
        if random.random() < 0.4:
            run.result_file.unlink()
        for name in ("claim.json", "failure.json"):
            if random.random() < 0.3:
                whole[run.path / name] = b'{"token": "a", "host": "h", "pid": 1, "born": "1"}'
        try:
            for _ in range(random.choice([1, 1, 2])):
                self._damage(random.choice(sorted(whole)), random, whole)
            runs = Runs(self.runs)
            _ = run.state(), run.result(), run.metrics(), run.task(), run.failure()
            _ = runs.state(run.path.name), runs.result(run.path.name), runs.task(run.path.name)
            assert all("\n" not in str(damage) for damage in damage_in(runs))
        finally:
            shutil.rmtree(run.path) if not run.path.is_symlink() else run.path.unlink()
            run.path.mkdir()
            for file in files:
                file.write_bytes(whole[file])

    def _damage(self, file: Path, random: Random, whole: dict[Path, bytes]) -> None:
        content = whole[file]
        if file.is_symlink() or file.is_dir() or file.is_fifo():
            return
        file.unlink(missing_ok=True)
        kind = random.randrange(12)
        if kind == 0:
            os.mkfifo(file)
        elif kind == 1:
            file.mkdir()
        elif kind == 2:
            file.symlink_to(random.choice([file.name, "/dev/full", "gone", "task.json"]))
        elif kind == 3:
            file.write_bytes(bytes(len(content)))
        elif kind == 4:
            file.write_bytes(content[: random.randrange(len(content))])
        elif kind == 5:
            file.write_bytes(random.choice([b"[", b'{"a":']) * 20_000)
        elif kind < 9 and file.suffix == ".json":
            file.write_text(json.dumps(other_json(json.loads(content), random)))
        elif kind < 9 and file.suffix == ".jsonl":
            lines = content.splitlines(keepends=True)
            lines[0] = json.dumps(other_json(json.loads(lines[0]), random)).encode() + b"\n"
            file.write_bytes(b"".join(lines + random.choices(lines, k=2)))
        else:
            file.write_bytes(damaged(content, random))

    def archive(self, random: Random) -> bool:
        """Returns whether a file appeared outside of the runs' folders."""
        for path, content in self.pair.items():
            if path.suffix == ".data" or random.random() < 0.6:
                path.write_bytes(damaged(content, random) if random.random() < 0.6 else content)
            else:
                path.write_bytes(self._other_line(content, random))
        archives._cache.clear()
        before = self._outside()
        try:
            runs = Runs(self.packed)
            for run_id in runs:
                _ = runs.state(run_id), runs.result(run_id), runs.task(run_id)
                _ = runs.run(run_id).metrics(), runs.run(run_id).read("log.txt")
            assert all("\n" not in str(damage) for damage in damage_in(runs))
            unpack(self.packed, preview_unpack(self.packed).runs)
            return self._outside() != before
        finally:
            shutil.rmtree(self.packed)
            (self.packed / "packed").mkdir(parents=True)
            for path, content in self.pair.items():
                path.write_bytes(content)

    def _other_line(self, content: bytes, random: Random) -> bytes:
        """Of a forger, who leaves the checksums out."""
        head, *lines = map(json.loads, content.splitlines())
        at = random.randrange(len(lines))
        lines[at] = other_json(lines[at], random)
        if isinstance(lines[at], dict) and lines[at].get("files") and random.random() < 0.5:
            lines[at]["files"] = [[random.choice([*ODD[:15], "../../x"]), 0, 9, 0]]
        out = [json.dumps(line).encode() + b"\n" for line in lines]
        starts = [sum(map(len, out[:i])) for i in range(len(out))]
        sizes = zip(starts, map(len, out), strict=True)
        head["runs"] = dict(zip(head["runs"], sizes, strict=True))
        del head["sums"], head["sum"]
        if random.random() < 0.3:
            head = other_json(head, random)
        return json.dumps(head).encode() + b"\n" + b"".join(out)

    def _outside(self) -> set[Path]:
        ids = {task.run_id for task in self.study.tasks}
        ours = {self.packed / "packed", *self.packed.glob("packed/*")}
        there = set(self.folder.rglob("*")) - ours
        return {path for path in there if not ids.intersection(path.parts)}

    def audio(self, random: Random) -> None:
        kind = random.choice(sorted(self.sounds))
        path = self.folder / f"a.{kind}"
        path.write_bytes(damaged(self.sounds[kind], random, within=128))
        with no_stderr():
            decode.read(path, samples=random.choice([None, 16_000]))

    def _text(self, random: Random, plain: list[str]) -> str:
        text = random.choice(plain + ODD)
        while random.random() < 0.5:
            longer = text + random.choice(plain + ODD)
            text = random.choice([longer, f"[{text}", text[1:], text[::-1]])
            text = text.replace(random.choice("a0[,- "), random.choice('{}[]:,&*!|>%@"#\t-0'), 1)
        return text[:20_000]


@contextmanager
def no_stderr() -> Iterator[None]:
    """The MP3 decoder writes about every damage to the file descriptor, thousands of lines."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
