"""What generators make: the picture that each run keeps of its samples, below real clips."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from analysis.cells import KEY
from analysis.measure import Measure
from analysis.style import sign
from petl.errors import UserError
from petl.picture import ONE_COLUMN, STYLE, TWO_COLUMNS, entitle, sheet
from petl.runs.directory import RunDir
from petl.runs.reading import content_of
from petl.terminal import echo

FILE = "samples.png"
MOST_BYTES, MOST_PIXELS, MOST_TALL = 8_000_000, 25_000_000, 25
ABOUT = "A column is a condition: a real clip on top, and below it a sample after so many epochs"


def with_samples(frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """`samples`: the picture of the first finished run of each generator that has one."""
    kept: list[Any] = [None] * len(frame)
    seen = set()
    for i, run in enumerate(frame[[*KEY, "study", "run_id", "state"]].itertuples()):
        key = (run.backbone, run.method, run.dataset)
        if run.state == "done" and key not in seen:
            kept[i] = _picture(RunDir(folder / run.study / run.run_id))
            seen |= set() if kept[i] is None else {key}
    return frame.assign(samples=pd.Series(kept, frame.index, object))


def _picture(run: RunDir) -> np.ndarray | None:
    """Somebody else may have written the file."""
    with run.at_hand(FILE) as path:
        link = path.is_symlink()  # to a picture that this person may read, and others not
        found, wrong = (None, "a link") if link else content_of(path, MOST_BYTES + 1)
    if found is None and not wrong:
        return None
    try:
        if found is None:
            raise ValueError(wrong)
        if len(found) > MOST_BYTES:
            raise ValueError(f"over {MOST_BYTES / 1e6:.0f} MB")
        picture = Image.open(BytesIO(found), formats=["PNG"])
        if picture.width * picture.height > MOST_PIXELS:
            raise ValueError(f"over {MOST_PIXELS / 1e6:.0f} million pixels")
        if picture.height > MOST_TALL * picture.width:
            raise ValueError(f"over {MOST_TALL} times as tall as wide")
        return np.asarray(picture.convert("RGB"))
    except Exception as error:  # whatever lies in it, one picture is missing
        echo(f"{run.path / FILE}: {' '.join(str(error).split())}; it is left out", err=True)
        return None


@mpl.rc_context(STYLE)
def samples(frame: pd.DataFrame, measure: Measure, width: float | None = None) -> Figure:
    """A panel for each generator and dataset, as large as the picture's shape asks."""
    shown = frame[frame["samples"].notna()]
    if shown.empty:
        raise UserError(
            f"{frame['study'].iloc[0]} has no finished runs of a generator that kept {FILE}; "
            "'samples' needs them"
        )
    width = width or TWO_COLUMNS
    across = 1 if width == ONE_COLUMN else min(3, len(shown))
    rows = [shown.iloc[i : i + across] for i in range(0, len(shown), across)]
    heights = [width / across * max(map(_shape, row["samples"])) + 0.2 for row in rows]
    figure = sheet(width, sum(heights))
    axes = figure.subplots(len(rows), across, squeeze=False, height_ratios=heights)
    several = frame["dataset"].nunique() > 1
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (_, run) in zip(axes.flat, shown.iterrows(), strict=False):
        axis.imshow(run["samples"], interpolation="antialiased")
        axis.set_anchor("N")
        where = f" · {run['dataset_label']}" if several else ""
        entitle(axis, f"{run['method_label']}{where}")
    which = "; ".join(
        f"{run['method_label']}: fold {run['fold']}, seed {run['seed']}"
        for _, run in shown.iterrows()
    )
    return sign(figure, frame, ABOUT, which)


def _shape(picture: np.ndarray) -> float:
    return float(picture.shape[0] / picture.shape[1])
