"""The curve of a bare work_dir, and where a curve is best."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from core.errors import NotAWorkDir
from core.steps.curves import report
from tests.command_line import cli


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
        "by": "training",
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


def validated(step: int, loss: float, log: bool, by_epoch: bool) -> str:
    """What mmengine 0.10.7 leaves of a validation: its loss under its own name and summed up as val_loss."""
    if log:
        head = f"Epoch(val) [{step}][8/8]" if by_epoch else "Iter(val) [8/8]"
        return f"2026/11/24 14:43:01 - mmengine - INFO - {head}    loss: {loss}  val_loss: {loss}  time: 0.1"
    return f'{{"loss": {loss}, "val_loss": {loss}, "data_time": 0.01, "time": 0.1, "step": {step}}}'


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("by_epoch", [True, False])
def test_where_it_was_validated_that_loss_decides(tmp_path: Path, log: bool, by_epoch: bool) -> None:
    """Training loss falls to the end, validation loss rises again from 200 on: 200 is the best."""
    work_dir = tmp_path / "工作 区" / "w [1]"
    line = log_line if log else scalars_line
    lines = []
    for epoch, loss in enumerate([1.5, 0.9, math.nan, 1.2], 1):
        lines += [line(i, 3 - i / 200) for i in range(100 * epoch - 90, 100 * epoch + 10, 10)]
        lines.append(validated(epoch if by_epoch else 100 * epoch, loss, log, by_epoch).replace("nan", "NaN"))
    folder = work_dir / "20261124_100000"
    write_start(folder, [], log, not log)
    file = folder / f"{folder.name}.log" if log else folder / "vis_data" / "scalars.json"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for iteration in (150, 250, 400):
        (work_dir / f"iter_{iteration}.pth").touch()
    found = report(work_dir)
    assert [one["iter"] for one in found["validation"]] == [100, 200, 300, 400]
    assert [one["loss"] for one in found["validation"]] == [1.5, 0.9, None, 1.2]
    assert [point["iter"] for point in found["points"]] == list(range(10, 410, 10)), (
        "no point is a validation"
    )
    best = found["best"]
    assert (best["by"], best["iter"], best["loss"], best["checkpoint_iter"]) == ("validation", 200, 0.9, 250)


def test_a_validation_of_an_abandoned_branch_does_not_count(tmp_path: Path) -> None:
    """Gone on from 100: what an earlier start measured beyond is of weights that are gone."""
    work_dir = tmp_path / "w"
    for name, first, loss in (("20261124_100000", 10, 0.1), ("20261124_110000", 110, 0.5)):
        folder = work_dir / name
        write_start(folder, [], False, True)
        lines = [scalars_line(i, 1.0) for i in range(first, first + 200, 10)]
        lines.append(validated(first + 190, loss, False, False))
        (folder / "vis_data" / "scalars.json").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert report(work_dir)["validation"] == [{"iter": 300, "loss": 0.5}]


def test_an_empty_folder_has_no_curve(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(NotAWorkDir):
            report(folder)


@pytest.mark.parametrize("place", ["log", "scalars", "timestamp json", "copied log"])
def test_one_file_by_itself(tmp_path: Path, place: str) -> None:
    """A log, or the numbers, wherever they lie; inside a work_dir its checkpoints are found too."""
    work_dir = tmp_path / "工作 区" / "w [1]"
    folder = work_dir / "20261124_100000"
    write_start(folder, [(10, 2.0), (20, 1.0)], log=True, scalars=True)
    (work_dir / "iter_20.pth").touch()
    log, scalars = folder / f"{folder.name}.log", folder / "vis_data" / "scalars.json"
    files = {
        "log": log,
        "scalars": scalars,
        "timestamp json": scalars.with_name(f"{folder.name}.json"),
        "copied log": tmp_path / "train.txt",
    }
    file = files[place]
    if not file.exists():
        file.write_bytes((log if place == "copied log" else scalars).read_bytes())
    found = report(file)
    assert [point["iter"] for point in found["points"]] == [10, 20]
    saved = None if place == "copied log" else str(work_dir / "iter_20.pth")
    assert found["best"]["checkpoint"] == saved


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04\0\0", b"hello\n", b'{"a": 1}\n'])
def test_a_file_that_is_no_log_is_said(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.log"
    file.write_bytes(content)
    with pytest.raises(NotAWorkDir, match="log"):
        report(file)


def test_losses_that_are_none_are_said_in_words(tmp_path: Path) -> None:
    folder = tmp_path / "w" / "20261124_100000"
    write_start(folder, [(10, 2.0), (20, math.nan), (30, math.inf)], log=True, scalars=False)
    assert report(tmp_path / "w")["not_numbers"] == {"count": 2, "first_iter": 20}
    done = cli("runs", "curves", folder / f"{folder.name}.log", cwd=tmp_path)
    assert done.returncode == 0 and "2 losses are not a number" in done.stdout
    assert "iteration 20" in " ".join(done.stdout.split())
    whole = tmp_path / "whole"
    write_start(whole / "20261124_100000", [(10, 2.0)], log=True, scalars=False)
    assert report(whole)["not_numbers"] is None
