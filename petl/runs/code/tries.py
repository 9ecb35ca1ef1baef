"""Which code each try of a run imported. A checkpoint carries it on to the result."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from petl.runs.code.archive import Code


class CodeRow(TypedDict):
    """A try whose code differs from that of the try before it."""

    from_try: int
    from_epoch: int
    archive: str | None
    source: str
    """Empty if it is not known: an earlier version wrote the checkpoint."""
    commit: str | None


class RunCode(TypedDict, total=False):
    """The code of a result: that of the last try, and of all tries whose steps it has."""

    archive: str | None
    source: str
    commit: str | None
    mixed: bool
    tries: list[CodeRow]


ROWS = TypeAdapter(list[CodeRow])


class CodeOfTries:
    def __init__(self, now: Code):
        self.now = now
        self.rows = [_row(1, 1, now)]

    def resume(self, rows: Any, tries: int, epoch: int) -> None:
        """This is try number `tries`, and continues in this epoch; rows are the checkpoint's."""
        try:
            known = ROWS.validate_python(rows)
        except ValidationError:
            known = []
        self.rows = known or [_row(1, 1, Code(None, "", None))]
        if self.rows[-1]["source"] != self.now.source:
            self.rows.append(_row(tries, epoch, self.now))

    def to_json(self) -> RunCode:
        mixed = len({row["source"] for row in self.rows}) > 1
        now = self.now
        return {
            **{"archive": now.archive, "source": now.source, "commit": now.commit},
            **{"mixed": mixed, "tries": self.rows},
        }


def _row(tries: int, epoch: int, code: Code) -> CodeRow:
    return {
        "from_try": tries,
        "from_epoch": epoch,
        "archive": code.archive,
        "source": code.source,
        "commit": code.commit,
    }
