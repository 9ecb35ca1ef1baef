"""The recordings and speakers of clips, and splits that keep the clips of one together."""

from __future__ import annotations

from pathlib import Path

import pytest
import trees

from petl.data import layouts
from petl.errors import UserError

OWN = {"corpus": "own", "layout": "folders", "split": "k-fold", "folds": 3}
TABLE = {"file": "clips.csv", "path": "file", "label": "label"}


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Three speakers, two digits, two takes."""
    rows = []
    for digit in "01":
        for speaker in ("ann", "bob", "cem"):
            for take in "01":
                file = f"{digit}/{digit}_{speaker}_{take}.wav"
                trees.put(tmp_path / "own" / file)
                rows.append([file, digit, speaker])
    trees.put_table(tmp_path / "own" / "clips.csv", "file,label,speaker", rows)
    return tmp_path / "own"


def test_published_layouts_tell_recordings_and_speakers(corpora):
    found = {way: corpus.clips[0].group for way, (corpus, _) in corpora.items()}
    assert found["esc50"] == "100"
    assert found["urbansound8k, as run"] == "100100"
    assert found["speech-commands"] == "0c1"
    assert found["fluent-speech-commands"] == "2BqVo8kVB2Skwgyb"
    assert found["iemocap"] == "1F"
    assert found["folders, ratio"] == ""


def test_a_pattern_or_a_column_tells_groups(digits, dataset):
    by_pattern = layouts.read(digits, dataset(**OWN, group="_([a-z]+)_"))
    own = OWN | {"layout": "table"}
    by_column = layouts.read(digits, dataset(**own, table=TABLE | {"group": "speaker"}))
    both = layouts.read(digits, dataset(**own, table=TABLE, group="_([a-z]+)_"))
    groups = ["ann", "ann", "bob", "bob", "cem", "cem"] * 2
    for corpus in (by_pattern, by_column, both):
        assert [clip.group for clip in corpus.clips] == groups


@pytest.mark.parametrize(("pattern", "count"), [("-([a-z]+)-", "any"), ("_(ann)_", "8")])
def test_a_pattern_that_misses_clips_is_refused(digits, dataset, pattern, count):
    with pytest.raises(UserError, match=f"finds no group in {count} of 12 clips"):
        layouts.read(digits, dataset(**OWN, group=pattern))


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("singer", "", "clips.csv: no column singer; it has file, label, speaker"),
        ("speaker", "0/0_ann_0.wav,0,\n", "clips.csv, line 14: speaker is empty"),
    ],
)
def test_a_column_without_groups_is_refused(digits, dataset, column, text, message):
    table = digits / "clips.csv"
    table.write_text(table.read_text() + text)
    with pytest.raises(UserError, match=message):
        layouts.read(digits, dataset(**OWN | {"layout": "table"}, table=TABLE | {"group": column}))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"group": "(a)"}, "for the layouts folders and table, not 'esc50'"),
        (
            OWN | {"layout": "table", "table": TABLE | {"group": "speaker"}, "group": "(a)"},
            "set one of them",
        ),
        (OWN | {"group": "(a+)+"}, "one pair of parentheses"),
    ],
)
def test_settings_that_say_no_groups_are_refused(dataset, settings, message):
    with pytest.raises(ValueError, match=message):
        dataset(**settings)
