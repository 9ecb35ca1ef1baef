"""What is known of the published datasets: how many clips they have, and where they come from.

Light, because a login node fetches: often it is the only machine with a way out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Official:
    """Counts of clips, as published; what is empty was not published or says nothing."""

    clips: int
    classes: Mapping[str, int] = field(default_factory=dict)
    per_class: int | None = None
    """Where all classes have as many."""
    folds: tuple[int, ...] = ()
    """Of fold 1, 2, ..."""
    fold: str = "fold"
    """What these are called."""
    parts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Download:
    url: str
    file: str
    """What a browser calls it: an archive that somebody put there by hand is used."""
    checksum: str
    """`md5:...` or `sha256:...`; empty where nobody vouches for one."""
    licence: str
    page: str


OFFICIAL: Mapping[str, Official] = {
    "esc50": Official(2_000, per_class=40, folds=(400,) * 5),
    "esc10": Official(400, per_class=40, folds=(80,) * 5),
    "urbansound8k": Official(
        8_732,
        classes={
            "air_conditioner": 1_000,
            "car_horn": 429,
            "children_playing": 1_000,
            "dog_bark": 1_000,
            "drilling": 1_000,
            "engine_idling": 1_000,
            "gun_shot": 374,
            "jackhammer": 1_000,
            "siren": 929,
            "street_music": 1_000,
        },
        folds=(873, 888, 925, 990, 936, 823, 838, 806, 816, 837),
    ),
    "speech-commands": Official(
        105_829, parts={"train": 84_843, "validation": 9_981, "test": 11_005}
    ),
    "fluent-speech-commands": Official(
        30_043, parts={"train": 23_132, "validation": 3_118, "test": 3_793}
    ),
    "iemocap": Official(
        5_531,
        classes={"neutral": 1_708, "happy": 1_636, "sad": 1_084, "angry": 1_103},
        folds=(1_085, 1_023, 1_151, 1_031, 1_241),
        fold="session",
    ),
}
"""By the name of the corpus, that is of its folder."""

DOWNLOADS: Mapping[str, Download] = {
    # GitHub packs the archive anew when asked: its bytes may change, so nobody publishes a sum.
    "esc50": Download(
        "https://github.com/karolpiczak/ESC-50/archive/master.zip",
        "ESC-50-master.zip",
        "",
        "CC BY-NC 3.0",
        "https://github.com/karolpiczak/ESC-50",
    ),
    "urbansound8k": Download(
        "https://zenodo.org/records/1203745/files/UrbanSound8K.tar.gz",
        "UrbanSound8K.tar.gz",
        "md5:9aa69802bbf37fb986f71ec1483a196e",  # Zenodo's
        "CC BY-NC",
        "https://zenodo.org/records/1203745",
    ),
    "speech-commands": Download(
        "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        "speech_commands_v0.02.tar.gz",
        # that of torchaudio and TensorFlow Datasets
        "sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        "CC BY 4.0",
        "https://arxiv.org/abs/1804.03209",
    ),
}

NOT_PUBLIC: Mapping[str, str] = {
    "fluent-speech-commands": "is handed out by its makers to who registers: "
    "https://fluent.ai/fluent-speech-commands-a-dataset-for-spoken-language-understanding-research",
    "iemocap": "needs a licence of the University of Southern California: "
    "https://sail.usc.edu/iemocap/iemocap_release.htm",
    "esc10": "is part of ESC-50: the clips whose column esc10 says True",
    "made-sounds": "is made on this machine the first time that something needs it",
}
"""Why there is nothing to download, and where to turn."""
