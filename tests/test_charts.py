"""Curves made small: what must survive, what it weighs, and that it grows for all who look."""

import itertools
import json
import threading
from pathlib import Path

import numpy as np
import plotly.io
import pytest

from core.jobs.downsample import POINTS, shown, smoothed
from core.jobs.live import CURVES, LiveCurve, Snapshot
from tests.test_curves import log_line, scalars_line, write_start
from ui.jobs.charts import curve_figure

BUDGET = 110_000  # bytes a refresh may send, of all nine curves


def ramp(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.float64)


@pytest.mark.parametrize("count", [0, 1, POINTS - 1, POINTS])
def test_a_short_curve_is_shown_whole(count: int) -> None:
    x, y = shown(ramp(count), ramp(count) / 2)
    assert x.tolist() == list(range(count)) and y.tolist() == [value / 2 for value in range(count)]


def test_a_long_curve_keeps_its_ends_and_its_one_spike() -> None:
    values = np.ones(100_000)
    values[31_337] = 1000
    x, y = shown(ramp(100_000), values)
    assert len(x) == len(y) <= POINTS and (x.dtype, y.dtype) == (np.int32, np.float32)
    assert x[0] == 0 and x[-1] == 99_999 and (np.diff(x) > 0).all()
    assert y.max() == 1000 and x[y.argmax()] == 31_337


def test_a_number_that_is_none_stays_a_gap() -> None:
    values = np.full(50_000, 2.0)
    values[10_000:40_000] = np.nan
    _, y = shown(ramp(50_000), values)
    assert np.isnan(y).any() and (y[~np.isnan(y)] == 2.0).all()


@pytest.mark.parametrize("count", [1, 7, 399, 400, 401, 123_456])
def test_what_does_not_change_is_smooth_already(count: int) -> None:
    x, y = smoothed(ramp(count), np.full(count, 0.75))
    assert len(x) == len(y) == min(count, POINTS // 2) and x[-1] == count - 1
    assert y.tolist() == pytest.approx([0.75] * len(y))


def test_smoothing_takes_the_noise_and_leaves_the_curve() -> None:
    random = np.random.default_rng(0)
    truth = 2 * np.exp(-ramp(200_000) / 50_000)
    x, y = smoothed(ramp(200_000), truth + random.normal(0, 0.5, 200_000))
    assert np.abs(y[20:] - truth[x][20:]).max() < 0.15


def test_batches_of_two_kinds_make_no_zigzag() -> None:
    """Of a short run, whose few points are losses of what is taught and of what is replayed by turns."""
    values = np.exp(-ramp(40) / 15) + np.tile([0.4, -0.4], 20)
    _, y = smoothed(ramp(40), values)
    assert (np.abs(np.diff(y)) < 0.2 * np.abs(np.diff(values)).mean())[5:].all()
    assert y[0] > 1 and y[-1] < 0.3, "and it falls as they do"


def test_one_nan_does_not_end_the_smooth_line() -> None:
    for count in (50, 5_000):
        values = np.ones(count)
        values[count // 2] = np.nan
        assert np.isfinite(smoothed(ramp(count), values)[1]).all()
    assert np.isnan(smoothed(ramp(50), np.full(50, np.nan))[1]).all()


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    return tmp_path / "工作 区" / "a b"


def look(curve: LiveCurve) -> Snapshot:
    while (found := curve.snapshot()) is None:
        pass
    return found


def test_no_run_yet_is_an_empty_snapshot(work_dir: Path) -> None:
    found = look(LiveCurve(work_dir))
    assert (found.points, found.iteration, found.total, found.share) == (0, 0, None, 0.0)
    assert dict(found.traces) == {} and found.samples == ()
    assert curve_figure(found, {}).data == ()


def test_a_snapshot_grows_and_is_the_same_object_while_nothing_is_new(work_dir: Path) -> None:
    folder = write_start(work_dir, "20260101_000000", scalars_line(10), log_line(10))
    curve = LiveCurve(work_dir)
    first = look(curve)
    assert (first.points, first.iteration, first.total, first.share) == (1, 10, 200, 0.05)
    assert list(first.traces) == ["loss", "lr", "time"]  # these lines say no more
    assert look(curve) is first
    with (folder / "vis_data" / "scalars.json").open("a", encoding="utf-8") as file:
        file.write(scalars_line(20, 0.5))
    second = look(curve)
    assert (second.points, second.last["loss"]) == (2, 0.5) and first.points == 1


def test_many_sessions_see_one_curve(work_dir: Path) -> None:
    folder = write_start(work_dir, "20260101_000000", "".join(scalars_line(i) for i in range(1, 5_001)))
    curve, seen, failed = LiveCurve(work_dir), [], []

    def session() -> None:
        try:
            seen.extend(look(curve).points for _ in range(50))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=session) for _ in range(8)]
    for thread in threads:
        thread.start()
    with (folder / "vis_data" / "scalars.json").open("a", encoding="utf-8") as file:
        file.writelines(scalars_line(i) for i in range(5_001, 6_001))
    for thread in threads:
        thread.join()
    assert failed == [] and len(seen) == 400 and look(curve).points == 6_000


def test_a_refresh_of_a_long_run_with_others_beside_it_is_small(work_dir: Path) -> None:
    same = {
        "lr": 1e-4,
        "time": 1.0,
        "memory": 9800,
        "tokens_per_second": 16_000.5,
        "padding": 0.01,
        "tflops": 99.5,
        "learned": 0.5,
    }
    points = ({**same, "grad_norm": i % 7, "loss": i % 5, "iter": i} for i in range(1, 20_001))
    write_start(work_dir, "20260101_000000", "".join(json.dumps(point) + "\n" for point in points))
    found = look(LiveCurve(work_dir))
    assert tuple(found.traces) == CURVES
    figure = curve_figure(found, {"another 运行": found, "a third": found, "a fourth": found})
    assert len(plotly.io.to_json(figure, validate=False)) < BUDGET
    assert {trace.xaxis for trace in figure.data} == {None}  # all on the one x axis
    assert len({trace.yaxis for trace in figure.data}) == len(CURVES)
    assert figure.layout.showlegend and "another 运行" in [trace.name for trace in figure.data]


def test_charts_stand_below_each_other_without_touching(work_dir: Path) -> None:
    write_start(work_dir, "20260101_000000", scalars_line(1) + scalars_line(2))
    layout = curve_figure(look(LiveCurve(work_dir)), {}).layout
    domains = [layout[name].domain for name in ("yaxis", "yaxis2", "yaxis3")]
    assert domains[0][1] == 1.0 and domains[-1][0] == pytest.approx(0.0, abs=1e-9)
    assert all(upper[0] > lower[1] for upper, lower in itertools.pairwise(domains))


@pytest.mark.parametrize(("points", "mode"), [(1, "markers"), (2, "lines")])
def test_a_single_point_is_seen_too(work_dir: Path, points: int, mode: str) -> None:
    write_start(work_dir, "20260101_000000", "".join(map(scalars_line, range(1, points + 1))))
    figure = curve_figure(look(LiveCurve(work_dir)), {})
    assert figure.data and {trace.mode for trace in figure.data} == {mode}
