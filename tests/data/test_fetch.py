"""Downloads from a real server on this machine: what becomes of an archive, and what is refused."""

from __future__ import annotations

import hashlib
import re
import tarfile

import pytest
from download_server import FILES, bring, held, names, petl, tarred, zipped

from petl.config.published import PUBLISHED
from petl.data.downloads import DOWNLOADS
from petl.errors import UserError


def test_a_download_becomes_the_datasets_folder_and_nothing_else(server, tmp_path):
    told = petl("esc50", "--url", server.url, "--data", tmp_path / "new")
    assert told.exit_code == 0, told.output
    assert held(tmp_path / "new" / "esc50") == FILES
    assert names(tmp_path / "new") == ["esc50"]
    digest = hashlib.sha256(server.content).hexdigest()
    assert f"{len(server.content):,} bytes, sha256:{digest} (no published checksum" in told.stdout
    assert "CC BY-NC" in told.stdout
    assert told.stdout.endswith("2 files; next, run `petl data check esc50`\n")


def test_a_flat_archive_stays_flat(server, tmp_path):
    server.content = tarred(files={f"./{name}": content for name, content in FILES.items()})
    bring(server, tmp_path / "words", "words.tar.gz")
    assert held(tmp_path / "words") == FILES


def test_what_a_mac_leaves_beside_the_outer_folder_does_not_count(server, tmp_path):
    files = {f"UrbanSound8K/{name}": content for name, content in FILES.items()}
    server.content = tarred(files=files | {"._UrbanSound8K": b"mac"})
    bring(server, tmp_path / "us8k", "us8k.tar.gz")
    assert held(tmp_path / "us8k") == FILES


def test_a_published_checksum_is_compared(server, tmp_path):
    digest = hashlib.md5(server.content).hexdigest()
    fetched = bring(server, tmp_path / "esc50", checksum=f"md5:{digest}")
    assert fetched.checksum == f"md5:{digest}"


def test_a_second_fetch_asks_for_nothing(server, tmp_path):
    petl("esc50", "--url", server.url, "--data", tmp_path)
    told = petl("esc50", "--url", server.url, "--data", tmp_path)
    assert told.exit_code == 0
    assert "already exists" in told.stdout
    assert len(server.asked) == 1


def test_a_folder_with_anything_in_it_is_never_touched(server, tmp_path):
    mine = tmp_path / "esc50" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    told = petl("esc50", "--url", server.url, "--data", tmp_path)
    assert "already exists" in told.stdout
    assert held(tmp_path) == {"esc50/mine.txt": b"mine"}
    assert server.asked == []


def test_an_empty_folder_is_filled(server, tmp_path):
    (tmp_path / "esc50").mkdir()
    bring(server, tmp_path / "esc50")
    assert held(tmp_path / "esc50") == FILES


def test_an_archive_downloaded_by_hand_is_used_and_kept(server, tmp_path):
    (tmp_path / "ESC-50-master.zip").write_bytes(server.content)
    told = petl("esc50", "--url", server.url, "--data", tmp_path)
    assert held(tmp_path / "esc50") == FILES
    assert "ESC-50-master.zip is no longer needed and can be deleted" in told.stdout
    assert names(tmp_path) == ["ESC-50-master.zip", "esc50"]
    assert server.asked == []


def test_a_wrong_checksum_is_refused_and_the_next_try_starts_again(server, tmp_path):
    right = server.content
    checksum = f"md5:{hashlib.md5(right).hexdigest()}"
    server.content = right[:-1] + b"x"
    with pytest.raises(UserError, match=r"archive\.zip: its md5 is \w+, not \w+; it is renamed"):
        bring(server, tmp_path / "esc50", checksum=checksum)
    assert names(tmp_path) == ["archive.zip.refused"]
    server.content = right
    bring(server, tmp_path / "esc50", checksum=checksum)
    assert held(tmp_path / "esc50") == FILES


def test_another_archive_than_the_published_one_is_refused(server, tmp_path):
    told = petl("speech-commands", "--url", server.url, "--data", tmp_path)
    assert told.exit_code == 2
    assert "not af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58" in told.stderr
    assert not (tmp_path / "speech-commands").exists()


def link(name: str, to: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, to
    return info


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("a.zip", zipped({"../escaped": b""}, outer=""), "is a path out of its folder"),
        ("a.tar.gz", tarred(files={"x/../../escaped": b""}), "is a path out of its folder"),
        ("a.tar.gz", tarred(files={"/tmp/escaped": b""}), "is a path out of its folder"),
        ("a.tar.gz", tarred(link("x", ".."), files={"x/escaped": b""}), "is a link"),
        ("a.zip", b"<html>busy</html>", "not a complete archive"),
        (
            "a.zip",
            zipped(FILES).replace(bytes(range(256)), bytes(256), 1),
            "not a complete archive",
        ),
        ("a.tar.gz", tarred(files=FILES)[:-2000], "not a complete archive"),
        ("a.tar.gz", b"<html>busy</html>", "not a complete archive"),
    ],
    # an archive has the time in it: processes that collect tests in parallel need equal names
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_archive_leaves_nothing_but_itself(server, tmp_path, file, content, complaint):
    server.content = content
    with pytest.raises(UserError, match=complaint):
        bring(server, tmp_path / "data" / "esc50", file)
    assert names(tmp_path) == ["data"]
    assert names(tmp_path / "data") == [f"{file}.refused"]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("iemocap", "needs a licence .* https://sail.usc.edu/iemocap"),
        ("fluent-speech-commands", "register at https://fluent.ai/"),
        ("ecs50", "petl knows no download for 'ecs50'; did you mean 'esc50'"),
    ],
)
def test_where_there_is_no_download_it_says_where_to_turn(tmp_path, name, complaint):
    told = petl(name, "--data", tmp_path)
    assert told.exit_code == 2
    assert re.search(complaint, told.stderr)


def test_what_is_known_of_a_dataset_agrees_with_itself():
    for name, official in PUBLISHED.items():
        for counts in (official.classes.values(), official.folds, official.parts.values()):
            assert not counts or sum(counts) == official.clips, name
    for download in DOWNLOADS.values():
        kind, _, digest = download.checksum.partition(":")
        assert not kind or len(digest) == 2 * hashlib.new(kind).digest_size
