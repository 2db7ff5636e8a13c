"""The curve of a bare work_dir, and where a curve is best."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from core.errors import NotAWorkDir
from core.steps.curves import report


def log_line(iteration: int, loss: float) -> str:
    return (
        f"2026/11/24 14:42:59 - mmengine - INFO - Iter(train) [{iteration}/400]  lr: 1e-04  eta: 0:00:09  "
        f"time: 0.5  data_time: 0.01  loss: {loss:.4f}"
    )


def scalars_line(iteration: int, loss: float) -> str:
    return f'{{"lr": 1e-4, "loss": {loss}, "time": 0.5, "iter": {iteration}, "step": {iteration}}}'


def write_start(folder: Path, points: list[tuple[int, float]], log: bool, scalars: bool) -> None:
    (folder / "vis_data").mkdir(parents=True)
    if log:
        text = "\n".join(log_line(*point) for point in points)
        (folder / f"{folder.name}.log").write_text(text + "\n", encoding="utf-8")
    if scalars:
        text = "\n".join(scalars_line(*point) for point in points)
        (folder / "vis_data" / "scalars.json").write_text("\n" + text + "\n", encoding="utf-8")


@pytest.mark.parametrize(("log", "scalars"), [(True, True), (True, False), (False, True)])
def test_a_bare_work_dir(tmp_path: Path, log: bool, scalars: bool) -> None:
    work_dir = tmp_path / "工作 区" / "w [1]"
    write_start(work_dir / "20261124_100000", [(i, 3.0 - i / 100) for i in range(10, 110, 10)], log, scalars)
    write_start(work_dir / "20261124_110000", [(i, 2.0 - i / 100) for i in range(80, 130, 10)], log, scalars)
    (work_dir / "iter_60.pth").touch()
    (work_dir / "iter_120.pth").mkdir()  # DeepSpeed's is a folder
    found = report(work_dir)
    assert [point["iter"] for point in found["points"]] == list(range(10, 130, 10))
    assert found["points"][7]["loss"] == pytest.approx(1.2), "the later start wins"
    assert found["best"] == {
        "iter": 120,
        "loss": pytest.approx(0.8),
        "checkpoint": str(work_dir / "iter_120.pth"),
        "checkpoint_iter": 120,
    }


@pytest.mark.parametrize("layout", ["time folder", "files together", "renamed"])
def test_one_start_by_itself(tmp_path: Path, layout: str) -> None:
    folder = tmp_path / "20261124_100000"
    write_start(folder, [(10, 2.0), (20, 1.0)], log=True, scalars=True)
    if layout == "files together":
        (folder / "vis_data" / "scalars.json").rename(folder / "scalars.json")
        (folder / "vis_data").rmdir()
    if layout == "renamed":
        folder = folder.rename(tmp_path / "my experiment")
    assert [point["iter"] for point in report(folder)["points"]] == [10, 20]


def test_the_best_is_where_the_smoothed_loss_is_lowest(tmp_path: Path) -> None:
    """One lucky batch is not the best; of the checkpoints that are left the nearest to the bottom is."""
    steps = np.arange(1, 401)
    loss = 1.0 + np.abs(steps - 250) / 100
    loss[300] = 0.01
    work_dir = tmp_path / "w"
    write_start(
        work_dir / "20261124_100000", list(zip(steps.tolist(), loss.tolist(), strict=True)), False, True
    )
    for iteration in (100, 200, 300, 400):
        (work_dir / f"iter_{iteration}.pth").touch()
    found = report(work_dir)["best"]
    assert abs(found["iter"] - 250) <= 2 and found["checkpoint_iter"] in {200, 300}


def test_numbers_that_are_none_are_null_and_never_the_best(tmp_path: Path) -> None:
    work_dir = tmp_path / "w"
    points = [(1, 2.0), (2, math.nan), (3, 1.5), (4, math.inf)]
    (work_dir / "20261124_100000" / "vis_data").mkdir(parents=True)
    text = "\n".join(
        scalars_line(*point).replace("nan", "NaN").replace("inf", "Infinity") for point in points
    )
    (work_dir / "20261124_100000" / "vis_data" / "scalars.json").write_text(text + "\n", encoding="utf-8")
    found = report(work_dir)
    assert [point["loss"] for point in found["points"]] == [2.0, None, 1.5, None]
    assert (found["best"]["iter"], found["best"]["checkpoint"]) == (3, None)
    json.dumps(found, allow_nan=False)


def test_an_empty_folder_has_no_curve(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(NotAWorkDir):
            report(folder)
