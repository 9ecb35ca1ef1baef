from __future__ import annotations

import shutil
from collections import Counter

import pytest
import trees

from petl.data.layouts import urbansound8k
from petl.errors import UserError

TABLE = "metadata/UrbanSound8K.csv"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return trees.urbansound8k(tmp_path_factory.mktemp("us8k"))


@pytest.fixture
def copy(tree, tmp_path):
    return shutil.copytree(tree, tmp_path / "us8k", symlinks=True)


@pytest.fixture
def settings(tmp_path):
    return trees.preset("urbansound8k", "as-run", tmp_path)


def test_folds_classes_and_files_are_the_tables(tree, settings):
    corpus = urbansound8k.read(tree, settings)
    assert Counter(corpus.folds.tolist()) == dict.fromkeys(range(1, 11), 10)
    assert Counter(corpus.labels.tolist()) == dict.fromkeys(range(10), 10)
    assert corpus.classes[:2] == ("air_conditioner", "car_horn")
    assert corpus.classes[9] == "street_music"
    for clip in corpus.clips:
        assert clip.path == tree / clip.file
        assert clip.file.startswith(f"audio/fold{clip.fold}/")
        assert f"-{clip.label}-0-" in clip.file


def test_the_order_is_the_tables(tree, settings):
    files = [clip.path.name for clip in urbansound8k.read(tree, settings).clips]
    assert files == [line.partition(",")[0] for line in (tree / TABLE).read_text().split()[1:]]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (",3,dog_bark", ",3,dog_brak", r"line 15: classID 3 is 'dog_bark' here and 'dog_brak'"),
        (
            ",10,9,street_music",
            ",ten,9,street_music",
            r"line 101: fold 'ten' is not a whole number",
        ),
        (",10,", ",11,", r"folds 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, but dataset\.folds is 10"),
        ("classID", "class_id", r"no column classID; it has slice_file_name, fsID, start"),
        ("car_horn", "car, horn", r"more cells than the 8 columns"),
    ],
)
def test_a_broken_table_names_what_is_wrong(copy, settings, old, new, complaint):
    table = copy / TABLE
    text = table.read_bytes().decode()
    # of names the first is changed, of folds all
    table.write_bytes(text.replace(old, new, -1 if old == ",10," else 1).encode())
    with pytest.raises(UserError, match=complaint) as error:
        urbansound8k.read(copy, settings)
    assert "\n" not in str(error.value)


def test_missing_clips_are_counted_and_listed(copy, settings):
    shutil.rmtree(copy / "audio" / "fold7")
    with pytest.raises(UserError, match=r"10 of 100 clips are missing: audio/fold7/1007.*5 more"):
        urbansound8k.read(copy, settings)


def test_a_clip_named_twice_is_refused(copy, settings):
    table = copy / TABLE
    table.write_bytes(table.read_bytes() + table.read_bytes().split(b"\r\n")[1] + b"\r\n")
    with pytest.raises(UserError, match=r"named more than once: audio/fold1/100100-0-0-1\.wav"):
        urbansound8k.read(copy, settings)


def test_a_corpus_one_folder_deeper_is_seen(copy, settings):
    copy.rename(copy.with_name("UrbanSound8K"))
    with pytest.raises(UserError, match=rf"no such file; {copy.parent} holds UrbanSound8K"):
        urbansound8k.read(copy.parent, settings)
