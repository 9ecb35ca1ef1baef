"""Where the public datasets come from. Light, since login nodes download too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Download:
    url: str
    file: str
    """The name that a browser gives it. If it is in the data folder, it is not downloaded again."""
    checksum: str
    """`md5:...` or `sha256:...`; empty where none is published."""
    licence: str
    page: str
    more: tuple[Download, ...] = ()
    """Other archives of the dataset. Of several, each keeps its folders."""


def _deam(name: str, sha256: str, more: tuple[Download, ...] = ()) -> Download:
    page = "https://cvml.unige.ch/databases/DEAM/"
    return Download(f"{page}{name}", name, f"sha256:{sha256}", "CC BY-NC", page, more)


# Its authors publish no checksums: these are of the archives as others have downloaded them.
_DEAM = _deam(
    "DEAM_audio.zip",
    "e2814325f573ade8caebc697f0efcfdf7207142b737d72558a416117ca591353",
    (
        _deam(
            "DEAM_Annotations.zip",
            "809b0feb4ba6196c1eda9b2b7b33b892b11fa71457cfceb0d47e832ed1a5f15f",
        ),
        _deam("metadata.zip", "3d1d5ab42e852803a770f2cfbd685c6b464e1ebe76f26b0e10954597902b90f8"),
    ),
)

DOWNLOADS: Mapping[str, Download] = {
    # GitHub builds this archive on request: its bytes may change, so there is no checksum.
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
        # as in torchaudio and TensorFlow Datasets
        "sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        "CC BY 4.0",
        "https://arxiv.org/abs/1804.03209",
    ),
    "deam": _DEAM,
}

MADE = "made-sounds"
"""The quickstart's."""

NOT_PUBLIC: Mapping[str, str] = {
    "fluent-speech-commands": "has to be requested from its authors: register at "
    "https://fluent.ai/fluent-speech-commands-a-dataset-for-spoken-language-understanding-research",
    "iemocap": "needs a licence from the University of Southern California: "
    "https://sail.usc.edu/iemocap/iemocap_release.htm",
    "audioset": "publishes labels and the addresses of videos, no sounds: "
    "https://research.google.com/audioset/download.html (docs/datasets.md)",
    "fsd50k": "is published as zip archives in several parts: download and unzip them as the page "
    "says, https://zenodo.org/records/4060432",
    "esc10": "is part of ESC-50: the clips with True in the column esc10 (docs/datasets.md)",
    **dict.fromkeys(
        (MADE, "made-up-deam"),
        "is not downloaded: petl makes it on this machine when it is first needed",
    ),
}
"""Why petl does not download it, and how to get it."""
