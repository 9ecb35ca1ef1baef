"""Where the public datasets come from. Light, since login nodes download too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Download:
    url: str
    file: str
    """What a browser calls it: an archive that somebody put there by hand is used."""
    checksum: str
    """`md5:...` or `sha256:...`; empty where nobody vouches for one."""
    licence: str
    page: str


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
