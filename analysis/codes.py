"""Whether finished runs were made with several codes: their mean then mixes experiments."""

from __future__ import annotations

import pandas as pd

SOURCE, MIXED, COMMIT = (
    "environment.code.source",
    "environment.code.mixed",
    "environment.git_commit",
)


def codes(done: pd.DataFrame) -> dict[str, list[str]]:
    """`code` or `git_commit`, and its values if there are several; empty if there is one.

    The hash of the program decides: a commit of documents alone changes nothing. Results that do
    not all have it are compared by commit; a missing one is a difference too.
    """
    if MIXED not in done or done[SOURCE].isna().any():
        commits = done[COMMIT].unique() if COMMIT in done else []
        return _several("git_commit", {str(None if x != x else x) for x in commits})
    sources = done[SOURCE].unique()
    changed = bool(done[MIXED].any())
    if len(sources) <= 1 and not changed:
        return {}
    known = zip(done[SOURCE], done[COMMIT], strict=True)
    names = {f"{source[:7]} of commit {str(commit)[:7]}" for source, commit in known}
    return _several("code", names | {"others in earlier tries"} if changed else names)


def _several(name: str, values: set[str]) -> dict[str, list[str]]:
    return {name: sorted(values)} if len(values) > 1 else {}
