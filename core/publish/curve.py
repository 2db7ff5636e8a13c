"""The loss curve as a picture, drawn without a browser."""

from pathlib import Path

import numpy as np

from core.jobs.curves import CurveReader
from core.jobs.downsample import shown, smoothed

WIDTH, HEIGHT, DPI = 8.0, 3.6, 120  # inches, inches, dots an inch


def draw_losses(work_dir: Path, picture: Path) -> bool:
    """Write the run's loss curve as PNG; False when nothing was logged."""
    from matplotlib.figure import Figure  # half a second, which only the publishing job pays

    reader = CurveReader(work_dir)
    reader.poll()
    columns = reader.columns()
    if not np.isfinite(columns["loss"]).any():
        return False
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    raw, smooth = shown(columns["iter"], columns["loss"]), smoothed(columns["iter"], columns["loss"])
    axes.plot(*raw, color="#9ec1f7", linewidth=1, label="loss")
    axes.plot(*smooth, color="#1f6feb", linewidth=2, label="loss, smoothed")
    axes.set_xlabel("iteration")
    axes.set_ylabel("loss")
    axes.grid(color="#e5e5e5")
    axes.legend(frameon=False)
    # No date and no program's version: the same curve is the same file.
    figure.savefig(picture, metadata={"Software": None})
    return True
