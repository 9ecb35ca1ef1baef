from __future__ import annotations

from collections import Counter

import pytest
import trees

from petl.data.layouts import fluent_speech_commands
from petl.errors import UserError


@pytest.fixture
def tree(tmp_path):
    return trees.fluent_speech_commands(tmp_path / "fsc")


@pytest.fixture
def settings(tmp_path):
    return trees.preset("fluent-speech-commands", "as-run", tmp_path)


def test_an_intent_is_action_object_and_location(tree, settings):
    corpus = fluent_speech_commands.read(tree, settings)
    assert corpus.classes == tuple(" / ".join(intent) for intent in sorted(trees.intents()))
    assert corpus.classes[0] == "activate / lamp / none"
    assert Counter(corpus.labels.tolist()) == dict.fromkeys(range(31), 4)


def test_each_table_is_a_part_with_its_own_speakers(tree, settings):
    clips = fluent_speech_commands.read(tree, settings).clips
    assert Counter(clip.part for clip in clips) == {"train": 62, "validation": 31, "test": 31}
    of_part = {part: {c.group for c in clips if c.part == part} for part in ("train", "test")}
    assert len(of_part["train"]) == 2
    assert of_part["train"].isdisjoint(of_part["test"])
    assert all(f"/{clip.group}/" in clip.file for clip in clips)


def test_what_was_said_may_hold_commas_and_quotes(tree, settings):
    assert '"Heat up, please"' in (tree / "data" / "train_data.csv").read_text()
    assert '"Say ""lights"", then wait"' in (tree / "data" / "train_data.csv").read_text()
    assert len(fluent_speech_commands.read(tree, settings).clips) == 124


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (",none\n", ",\n", r"valid_data\.csv, line 2: no location"),
        ("wavs/speakers", "../speakers", r"line 2: path is '\.\./speakers/.*not a path inside"),
        ("action", "intent", r"no column action; it has , path, speakerId, transcription, intent"),
        ('"Heat up, please"', "Heat up, please", r"line 2: more cells than the 7 columns"),
        ("lamp", "lmap", r"fsc/data: 32 classes, but dataset\.classes is 31"),
    ],
)
def test_a_broken_table_names_its_line(tree, settings, old, new, complaint):
    table = tree / "data" / "valid_data.csv"
    table.write_text(table.read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=complaint):
        fluent_speech_commands.read(tree, settings)


def test_a_lost_speaker_is_counted(tree, settings):
    (tree / "wavs" / "speakers" / "2ojo7YRL7Gck83Z3").rename(tree / "elsewhere")
    with pytest.raises(UserError, match=r"31 of 124 clips are missing: wavs/speakers/2ojo"):
        fluent_speech_commands.read(tree, settings)
