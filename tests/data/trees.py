"""Small corpora in the published layouts, with what makes the real ones hard to read."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from petl.config import Dataset
from petl.config.study import load_study

QUIRKS = (
    (16_000, 1, "PCM_16"),
    (44_100, 2, "PCM_16"),
    (48_000, 1, "PCM_24"),
    (22_050, 2, "PCM_24"),
    (8_000, 1, "PCM_U8"),
    (96_000, 2, "FLOAT"),
)
"""Rate, channels and sample format, as UrbanSound8K mixes them."""


def wav(quirk: int = 0, seconds: float = 0.05) -> bytes:
    rate, channels, subtype = QUIRKS[quirk % len(QUIRKS)]
    noise = 0.1 * np.random.default_rng(quirk).standard_normal((int(seconds * rate), channels))
    file = io.BytesIO()
    soundfile.write(file, noise, rate, subtype, format="WAV")
    return file.getvalue()


PLAIN = wav()
APPLE_DOUBLE = b"\0\5\x16\7\0\2\0\0Mac OS X        "
EMOTIONS = ("neu", "hap", "exc", "sad", "ang", "fru", "xxx")


def put(path: Path, data: bytes | str = PLAIN) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def put_table(path: Path, header: str, rows: Sequence[Sequence[object]], end: str = "\n") -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows([header.split(","), *rows])
    put(path, text.getvalue())


def urbansound8k(folder: Path) -> Path:
    """A slice of each class in each fold; Windows line ends, an empty line at the end."""
    names = "air_conditioner,car_horn,children_playing,dog_bark,drilling,engine_idling,gun_shot"
    names += ",jackhammer,siren,street_music"
    rows = []
    for number, name in enumerate(names.split(",")):
        for fold in range(1, 11):
            source = 100_000 + 100 * fold + number
            file = f"{source}-{number}-0-{fold}.wav"
            put(folder / "audio" / f"fold{fold}" / file, wav(number + fold))
            rows.append([file, source, 0.0, 0.05, 1 + fold % 2, fold, number, name])
        put(folder / "audio" / f"fold{number + 1}" / ".DS_Store", b"\0")
    header = "slice_file_name,fsID,start,end,salience,fold,classID,class"
    table = folder / "metadata" / "UrbanSound8K.csv"
    put_table(table, header, sorted(rows), end="\r\n")
    put(table, table.read_bytes() + b"\r\n")
    return folder


WORDS = """
    backward bed bird cat dog down eight five follow forward four go happy house learn left
    marvin nine no off on one right seven sheila six stop three tree two up visual wow yes zero
""".split()  # noqa: SIM905  a list of 35 lines says no more


def speech_commands(folder: Path, words: Sequence[str] = WORDS) -> Path:
    """Two speakers train, one validates, one tests; the lists always name all words."""
    for word in words:
        for speaker, take in (("f0a", 0), ("f0a", 1), ("0c1", 0), ("9db", 0), ("a4e", 0)):
            put(folder / word / f"{speaker}_nohash_{take}.wav")
    put(folder / "_background_noise_" / "white_noise.wav", wav(seconds=1))
    put(folder / "_background_noise_" / "README.md", "noise")
    put(folder / "LICENSE", "CC BY 4.0")
    put(folder / "yes" / "._f0a_nohash_0.wav", APPLE_DOUBLE)
    for name, speaker in (("validation", "9db"), ("testing", "a4e")):
        lines = [f"{word}/{speaker}_nohash_0.wav" for word in WORDS]
        put(folder / f"{name}_list.txt", "\n".join([*lines, "", ""]))
    return folder


LANGUAGES = ("Chinese", "English", "German", "Korean")


def intents() -> list[tuple[str, str, str]]:
    """The 31 of Fluent Speech Commands."""
    found = [("change language", o, "none") for o in ("none", *LANGUAGES)]
    found += [("bring", thing, "none") for thing in ("juice", "newspaper", "shoes", "socks")]
    for switch in ("activate", "deactivate"):
        found += [(switch, thing, "none") for thing in ("lamp", "lights", "music")]
        found += [(switch, "lights", room) for room in ("bedroom", "kitchen", "washroom")]
    for change in ("decrease", "increase"):
        found += [(change, thing, "none") for thing in ("heat", "volume")]
        found += [(change, "heat", room) for room in ("bedroom", "kitchen", "washroom")]
    return found


def fluent_speech_commands(folder: Path) -> Path:
    """Every part has its own speakers; what is said holds commas and quotes."""
    speakers = {"train": ("2BqVo8kVB2Skwgyb", "xwzgmmv5ZOiVaxXz"), "valid": ("2ojo7YRL7Gck83Z3",)}
    for part, names in (speakers | {"test": ("4aGjX3AG5xcxeL7a",)}).items():
        rows = []
        for speaker in names:
            for number, intent in enumerate(intents()):
                file = f"wavs/speakers/{speaker}/{number:08x}-4474-11e9-a9a5-5dbec3b8816a.wav"
                put(folder / file)
                said = ("Heat up, please", 'Say "lights", then wait', "Louder")[number % 3]
                rows.append([len(rows), file, speaker, said, *intent])
        header = ",path,speakerId,transcription,action,object,location"
        put_table(folder / "data" / f"{part}_data.csv", header, rows)
    put(folder / "data" / "speaker_demographics.csv", "speakerId\n")
    return folder


def iemocap(folder: Path) -> Path:
    """Two dialogs a session, seven turns of each speaker in both, in no order."""
    for session in range(1, 6):
        top = folder / f"Session{session}"
        for dialog in (f"Ses0{session}F_impro01", f"Ses0{session}M_script01_1"):
            lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
            for number, emotion in reversed(list(enumerate(EMOTIONS))):
                for gender in "MF":
                    turn = f"{dialog}_{gender}{number:03}"
                    put(top / "sentences" / "wav" / dialog / f"{turn}.wav")
                    times = f"[{number}.2901 - {number + 2}.2357]"
                    lines.append(f"{times}\t{turn}\t{emotion}\t[2.5000, 2.5000, 2.5000]")
                    lines += ["C-E2:\tNeutral;\t(caf\xe9)", "A-E3:\tval 3; act 2; dom  2;\t()", ""]
            text = "\n".join(lines).encode("latin-1")
            put(top / "dialog" / "EmoEvaluation" / f"{dialog}.txt", text)
            put(
                top / "dialog" / "EmoEvaluation" / f"._{dialog}.txt", APPLE_DOUBLE + b"\n[1 - 2]\tx"
            )
            put(top / "dialog" / "EmoEvaluation" / "Categorical" / f"{dialog}_e1_cat.txt", "[x]")
            put(top / "sentences" / "wav" / dialog / f"._{dialog}_F000.wav", APPLE_DOUBLE)
    return folder


STUDY = """\
description: a dataset
profile: {profile}
report: test_last
matrix: {{dataset: {name}, backbone: ast, method: linear, fold: 0, seed: 0}}
"""


def preset(name: str, profile: str, folder: Path, more: str = "") -> Dataset:
    """What a study that names it gets."""
    study = folder / "study.yaml"
    put(study, STUDY.format(name=name, profile=profile) + more)
    (task,) = load_study(study).tasks
    return task.dataset
