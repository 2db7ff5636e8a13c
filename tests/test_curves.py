"""Curves from XTuner's real lines, from variants of them, and from the fake XTuner's files."""

import math
import re
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from core.jobs.curves import FIELDS, CurveReader, read_curve
from core.jobs.live import LiveCurve
from core.jobs.points import Point, parse_log_line, parse_scalars_line
from core.jobs.samples import Sample, SampleReader, read_samples
from core.jobs.tail import LogTail
from tests.conftest import RecordFault

# A line as the tutorial's run printed it (docs: XTuner 0.2.0, one H100).
REAL = (
    "11/24 11:49:21 - mmengine - INFO - Iter(train) [ 10/160]  lr: 9.9221e-04  eta: 0:03:05  time: 1.2391  "
    "data_time: 0.0114  memory: 9800  loss: 2.7452  grad_norm: 1.6505"
)
# A line of a log file on a processor: the year, no memory, the gradient before the loss.
ON_CPU = (
    "2026/11/24 14:42:59 - mmengine - INFO - Iter(train) [24/24]  lr: 1.5268e-06  eta: 0:00:00  "
    "time: 1.6811  data_time: 0.0156  grad_norm: 1.1080  loss: 1.3984"
)
CPU_SCALARS = (
    '{"lr": 1.5267837178600972e-06, "data_time": 0.015574800968170165, "grad_norm": 1.1080093532800674, '
    '"loss": 1.3983774691820146, "time": 1.6811442852020264, "iter": 24, "step": 24}'
)


@pytest.mark.parametrize(
    ("line", "point"),
    [
        (REAL, Point(10, 2.7452, 9.9221e-4, 1.6505, 1.2391, 0.0114, 9800, 160)),
        (ON_CPU, Point(24, 1.3984, 1.5268e-6, 1.1080, 1.6811, 0.0156, None, 24)),
        (
            REAL.replace("0:03:05", "1 day, 3:04:05"),
            Point(10, 2.7452, 9.9221e-4, 1.6505, 1.2391, 0.0114, 9800, 160),
        ),
        (
            REAL.replace("0:03:05", "12 days, 0:00:01"),
            Point(10, 2.7452, 9.9221e-4, 1.6505, 1.2391, 0.0114, 9800, 160),
        ),
        (  # iterations of an epoch go on counting
            REAL.replace("Iter(train) [ 10/160]", "Epoch(train) [1][10/160]"),
            Point(10, 2.7452, 9.9221e-4, 1.6505, 1.2391, 0.0114, 9800, None),
        ),
        (
            REAL.replace("Iter(train) [ 10/160]", "Epoch(train)   [3][ 10/160]"),
            Point(330, 2.7452, 9.9221e-4, 1.6505, 1.2391, 0.0114, 9800, None),
        ),
        (
            "Iter(train) [5/9]  lr: 0.0  loss: inf  grad_norm: -inf",
            Point(5, math.inf, 0, -math.inf, total_iters=9),
        ),
        ("Iter(train) [5/9]  lr: 1e-05  loss: 12", Point(5, 12, 1e-5, total_iters=9)),
        ("Iter(train) [5/9]  base_lr: 1.0000e-04 lr: 2.0000e-04", Point(5, lr=2e-4, total_iters=9)),
        ("Iter(val) [10/160]  eta: 0:03:05  time: 1.2391", None),
        ("11/24 11:49:21 - mmengine - INFO - Saving checkpoint at 10 iterations", None),
        ("What does Iter(train) mean?", None),
        ("", None),
    ],
)
def test_a_log_line(line: str, point: Point | None) -> None:
    assert parse_log_line(line) == point


def test_a_log_line_without_a_number_for_the_loss() -> None:
    point = parse_log_line(REAL.replace("2.7452", "nan").replace("1.6505", "NaN"))
    assert point is not None and point.loss is not None and point.grad_norm is not None
    assert math.isnan(point.loss) and math.isnan(point.grad_norm) and point.lr == 9.9221e-4


@pytest.mark.parametrize(
    ("line", "point"),
    [
        (
            CPU_SCALARS,
            Point(24, 1.3983774691820146, 1.5267837178600972e-06, 1.1080093532800674, 1.6811442852020264,
                  0.015574800968170165),
        ),
        ('{"loss": Infinity, "grad_norm": null, "memory": 9800, "step": 7}', Point(7, math.inf, memory=9800)),
        ('{"loss": 1.0}', None),
        ('{"accuracy": 0.5, "step": 7}', None),
        (CPU_SCALARS[:50], None),
        ("[1, 2]", None),
        ("", None),
    ],
)  # fmt: skip
def test_a_scalars_line(line: str, point: Point | None) -> None:
    assert parse_scalars_line(line) == point


def test_a_bare_nan_in_scalars_is_a_point() -> None:
    point = parse_scalars_line('{"lr": 0.001, "loss": NaN, "iter": 3, "step": 3}')
    assert point is not None and point.loss is not None and math.isnan(point.loss)


def scalars_line(iteration: int, loss: float = 1.0) -> str:
    return f'{{"lr": 0.001, "loss": {loss}, "time": 1.0, "iter": {iteration}, "step": {iteration}}}\n'


def log_line(iteration: int, loss: float = 1.0, total: int = 200) -> str:
    return REAL.replace("[ 10/160]", f"[{iteration:>3}/{total}]").replace("2.7452", f"{loss:.4f}") + "\n"


def write_start(work_dir: Path, name: str, scalars: str | None, log: str | None = None) -> Path:
    folder = work_dir / name
    (folder / "vis_data").mkdir(parents=True)
    if scalars is not None:
        (folder / "vis_data" / "scalars.json").write_text("\n" + scalars, encoding="utf-8")
    if log is not None:
        (folder / f"{name}.log").write_text(log, encoding="utf-8")
    return folder


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    return tmp_path / "工作 区" / "a b"


def iterations(reader: CurveReader) -> list[int]:
    reader.poll()
    return [int(count) for count in reader.columns()["iter"]]


def test_no_run_is_an_empty_curve(work_dir: Path) -> None:
    assert read_curve(work_dir).points == ()
    columns = CurveReader(work_dir).columns()
    assert tuple(columns) == FIELDS and all(column.shape == (0,) for column in columns.values())


def test_scalars_are_preferred_and_the_log_knows_the_length(work_dir: Path) -> None:
    write_start(work_dir, "20260101_000000", scalars_line(10, 1.23456789), log_line(10, 1.2346))
    curve = read_curve(work_dir)
    assert curve.total_iters == 200
    assert curve.points == (Point(10, 1.23456789, 1e-3, time=1.0, total_iters=200),)


@pytest.mark.parametrize("scalars", [None, "", scalars_line(10)], ids=["none", "empty", "shorter"])
def test_the_log_stands_in_for_scalars(work_dir: Path, scalars: str | None) -> None:
    write_start(work_dir, "20260101_000000", scalars, log_line(10, 0.5) + log_line(20, 0.25))
    assert [(point.iter, point.loss) for point in read_curve(work_dir).points] == [(10, 0.5), (20, 0.25)]


def test_a_resumed_run_wins_and_the_abandoned_branch_goes(work_dir: Path) -> None:
    write_start(work_dir, "20260101_000000", "".join(scalars_line(i, 1.0) for i in range(10, 160, 10)))
    write_start(work_dir, "20260101_010000", "".join(scalars_line(i, 2.0) for i in (110, 120)))
    (work_dir / "20260101_020000").mkdir()  # a start that wrote nothing
    (work_dir / "iter_100.pth").mkdir()
    points = read_curve(work_dir).points
    assert [point.iter for point in points] == list(range(10, 130, 10))
    assert [point.loss for point in points][-3:] == [1.0, 2.0, 2.0]


def test_a_run_from_scratch_in_the_same_folder_replaces_the_longer_one(work_dir: Path) -> None:
    write_start(work_dir, "20260101_000000", "".join(scalars_line(i, 1.0) for i in range(10, 300, 10)))
    write_start(work_dir, "20260101_010000", scalars_line(10, 2.0) + scalars_line(20, 2.0))
    assert [(p.iter, p.loss) for p in read_curve(work_dir).points] == [(10, 2.0), (20, 2.0)]


@pytest.mark.parametrize("begins", [61, 62, 51], ids=["every", "every second", "from an earlier checkpoint"])
def test_a_clock_set_back_hides_no_point(work_dir: Path, begins: int) -> None:
    """The night in which 02:59 is followed by 02:00: the start that goes on has the earlier name."""
    step = 2 if begins == 62 else 1
    first, second = range(step, 61, step), range(begins, 101, step)
    write_start(work_dir, "20261025_023000", "".join(scalars_line(i, 1.0) for i in first))
    write_start(work_dir, "20261025_020500", "".join(scalars_line(i, 2.0) for i in second))
    points = read_curve(work_dir).points
    assert [point.iter for point in points] == [*(i for i in first if i < begins), *second]
    assert [point.loss for point in points if point.iter >= begins] == [2.0] * len(second)


def test_a_clock_set_back_between_three_starts(work_dir: Path, record_fault: RecordFault) -> None:
    for name, begins, ends in (("030000", 1, 31), ("023000", 31, 61), ("020000", 61, 91)):
        lines = "".join(scalars_line(i) for i in range(begins, ends))
        write_start(work_dir, f"20261025_{name}", lines)
    assert [point.iter for point in read_curve(work_dir).points] == list(range(1, 91))
    record_fault("the clock is set back between two starts", "", "", "no point of the curve is missing")


def test_a_growing_run_is_read_on(work_dir: Path) -> None:
    reader = CurveReader(work_dir)
    assert not reader.poll() and iterations(reader) == []
    folder = write_start(work_dir, "20260101_000000", scalars_line(10), log_line(10))
    assert iterations(reader) == [10] and not reader.poll()
    assert reader.total_iters == 200
    before = reader.columns()["iter"]
    with (folder / "vis_data" / "scalars.json").open("a", encoding="utf-8") as file:
        file.write(scalars_line(20) + scalars_line(30)[:25])
    assert iterations(reader) == [10, 20]
    with (folder / "vis_data" / "scalars.json").open("a", encoding="utf-8") as file:
        file.write(scalars_line(30)[25:])
    write_start(work_dir, "20260101_010000", scalars_line(30, 9.0))
    assert iterations(reader) == [10, 20, 30] and reader.columns()["loss"][-1] == 9.0
    assert before.tolist() == [10]  # what was given out stays as it was


def test_a_replaced_file_is_not_counted_twice(work_dir: Path) -> None:
    folder = write_start(work_dir, "20260101_000000", "".join(scalars_line(i) for i in range(10, 60, 10)))
    reader = CurveReader(work_dir)
    assert iterations(reader) == [10, 20, 30, 40, 50]
    (folder / "vis_data" / "scalars.json").write_text(scalars_line(10) + scalars_line(20), encoding="utf-8")
    assert iterations(reader) == [10, 20]


def test_a_long_run_costs_only_what_is_new(work_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each poll reads its own lines, not all (``scripts/bench idle`` has the time of 200,000)."""
    given: list[int] = []
    blocks = LogTail.blocks

    def counted(tail: LogTail) -> Iterator[list[str]]:
        for lines in blocks(tail):
            given.append(len(lines))
            yield lines

    monkeypatch.setattr(LogTail, "blocks", counted)
    path = write_start(work_dir, "20260101_000000", "") / "vis_data" / "scalars.json"
    reader = CurveReader(work_dir)
    assert not reader.poll()
    for start in range(0, 20_000, 1000):
        with path.open("a", encoding="utf-8") as file:
            file.writelines(scalars_line(i) for i in range(start, start + 1000))
        given.clear()
        assert reader.poll() and sum(given) == 1000
    assert np.array_equal(reader.columns()["iter"], np.arange(20_000))
    given.clear()
    assert not reader.poll() and given == []


LOG_WITH_SAMPLES = """\
2026/11/24 11:49:01 - mmengine - INFO - before_train in EvaluateChatHook.
2026/11/24 11:49:02 - mmengine - INFO - Sample output:
<|User|>:你是谁？<eoh>
<|Bot|>:I am an assistant.

Ask me anything.<eoa>

2026/11/24 11:49:03 - mmengine - INFO - Checkpoints will be saved to /w.
2026/11/24 11:49:21 - mmengine - INFO - Iter(train) [ 10/160]  lr: 1.0e-04  loss: 2.7
2026/11/24 11:49:22 - mmengine - INFO - after_train_iter in EvaluateChatHook.
2026/11/24 11:49:23 - mmengine - INFO - Sample output:
first
2026/11/24 11:49:24 - mmengine - INFO - Sample output:
second
2026/11/24 11:49:25 - mmengine - INFO - Iter(train) [ 20/160]  lr: 1.0e-04  loss: 2.6
2026/11/24 11:49:26 - mmengine - INFO - after_train in EvaluateChatHook.
2026/11/24 11:49:27 - mmengine - INFO - Sample output:
last
""".splitlines()

SAMPLES = [
    Sample(0, "<|User|>:你是谁？<eoh>\n<|Bot|>:I am an assistant.\n\nAsk me anything.<eoa>"),
    Sample(10, "first"),
    Sample(10, "second"),
    Sample(20, "last"),
]


ASKED = ["after_train_iter in EvaluateChatHook.", "Sample output:\n<|im_start|>user\nWho are you?\n"]


@pytest.mark.parametrize("year", ["2026/", ""], ids=["file", "terminal"])
def test_samples_with_their_iterations(year: str) -> None:
    assert read_samples([line.replace("2026/", year) for line in LOG_WITH_SAMPLES]) == SAMPLES


def test_samples_line_by_line() -> None:
    reader = SampleReader()
    for count, line in enumerate(LOG_WITH_SAMPLES):
        reader.feed([line])
        if count == 13:  # whether the second one goes on is not known yet
            assert reader.samples[1:] == [Sample(10, "first"), Sample(10, "second")]
    assert reader.samples == SAMPLES


def test_samples_before_a_resumed_run() -> None:
    resumed = "2026/11/24 11:49:00 - mmengine - INFO - resumed epoch: 1, iter: 80"
    assert read_samples([resumed, *LOG_WITH_SAMPLES])[0].iter == 80


def test_the_hooks_answer_after_the_line_and_before_the_checkpoint() -> None:
    """The order that the iterations of answers rest on, in the installed sources (not imported: 14 s)."""
    order = {
        hook: re.search(r"""priority = ['"](\w+)""", source(place).read_text(encoding="utf-8"))
        for hook, place in (
            ("logger", "mmengine/hooks/logger_hook.py"),
            ("chat", "xtuner/engine/hooks/evaluate_chat_hook.py"),
            ("checkpoint", "mmengine/hooks/checkpoint_hook.py"),
        )
    }
    names = {hook: found and found[1] for hook, found in order.items()}
    assert names == {"logger": "BELOW_NORMAL", "chat": "LOW", "checkpoint": "VERY_LOW"}


def source(place: str) -> Path:
    package, _, inner = place.partition("/")
    found = find_spec(package)
    assert found and found.submodule_search_locations
    return Path(next(iter(found.submodule_search_locations))) / inner


@pytest.mark.parametrize(
    ("lines", "iterations"),
    [
        # The last answers of a run: nothing follows them.
        (["Iter(train) [100/100]  loss: 1.0", *ASKED], [100]),
        (["Iter(train) [100/200]  loss: 1.0", *ASKED, "Iter(train) [110/200]  loss: 0.9"], [100]),
        # Logged every 10, saved at the end: the checkpoint knows better than the line before.
        (["Iter(train) [760/768]  loss: 1.0", *ASKED, *ASKED[1:], "Saving checkpoint at 768 iterations"],
         [768, 768]),
        (["Iter(train) [10/20]  loss: 1.0", *ASKED, "Iter(train) [20/20]  loss: 1.0",
          "Saving checkpoint at 20 iterations", "after_train in EvaluateChatHook.", *ASKED[1:]], [10, 20]),
        # What was asked at a line of its own is not dated anew by a later checkpoint.
        (["Iter(train) [10/40]  loss: 1.0", *ASKED, "Iter(train) [20/40]  loss: 1.0",
          "Saving checkpoint at 25 iterations"], [10]),
        # A loop of epochs counts within each of them.
        (["Epoch(train)  [2][ 10/160]  lr: 1e-4  loss: 1.0", *ASKED, "Saving checkpoint at 2 epochs"], [170]),
    ],
)  # fmt: skip
def test_answers_belong_to_the_line_before_them(lines: list[str], iterations: list[int]) -> None:
    log = "\n".join(f"2026/01/01 00:00:10 - mmengine - INFO - {line}" for line in lines).splitlines()
    assert [sample.iter for sample in read_samples(log)] == iterations


THROUGHPUT = "tflops: 95.1234  tokens_per_sec: 2070.5000"


@pytest.mark.parametrize("scalars", [True, False])
def test_what_xtuner_counts_itself_is_a_curve(work_dir: Path, scalars: bool) -> None:
    """ThroughputHook's numbers, as XTuner 0.2.0 names them, beside memory, times and the gradient's norm."""
    row = (
        '{"lr": 1e-4, "time": 0.5, "memory": 9800, "tflops": 95.1234, "tokens_per_sec": 2070.5, "loss": 1.5,'
    )
    row += ' "reward_margin": 0.25, "grad_norm": 0.5, "data_time": 0.01, "iter": 10, "step": 10}\n'
    line = REAL.replace("loss: 2.7452", f"{THROUGHPUT}  reward_margin: 0.2500  loss: 1.5") + "\n"
    write_start(work_dir, "20260101_000000", row if scalars else None, None if scalars else line)
    reader = CurveReader(work_dir)
    reader.poll()
    (point,) = read_curve(work_dir).points
    assert (point.tokens_per_second, point.tflops, point.memory) == (2070.5, 95.1234, 9800)
    assert point.grad_norm is not None and point.time is not None and point.data_time is not None
    assert reader.not_drawn == ["reward_margin"]


def test_several_starts_in_one_file(tmp_path: Path) -> None:
    """A terminal's output that goes on below itself after a resume: the later start wins, as in folders."""
    file = tmp_path / "nohup 输出.out"
    lines = [log_line(i, 1.0) for i in range(10, 60, 10)] + [log_line(i, 2.0) for i in (30, 40)]
    file.write_text("".join(lines), encoding="utf-8")
    assert [(p.iter, p.loss) for p in read_curve(file).points] == [(10, 1.0), (20, 1.0), (30, 2.0), (40, 2.0)]


def test_a_look_ends_in_time_and_the_next_goes_on(work_dir: Path) -> None:
    folder = work_dir / "20260101_000000"
    (folder / "vis_data").mkdir(parents=True)
    line = '{{"lr": 0.1, "loss": 0.5, "iter": {}, "padding": "' + "x" * 20_000 + '"}}\n'
    (folder / "vis_data" / "scalars.json").write_text("".join(map(line.format, range(1, 301))))
    reader, looks = CurveReader(work_dir), 0
    while reader.poll(0.0) or reader.behind:
        looks += 1
    assert looks > 3 and len(reader.columns()["iter"]) == 300 and not reader.behind


def test_nobody_waits_for_whoever_reads_a_long_log(work_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first look goes on, a second is told that it is read; later, one that another holds up."""
    (work_dir / "20260101_000000" / "vis_data").mkdir(parents=True)
    begun, go_on = threading.Event(), threading.Event()

    def slowly(_: CurveReader, seconds: float = 0.0) -> bool:
        begun.set()
        assert go_on.wait(60)
        return True

    monkeypatch.setattr(CurveReader, "poll", slowly)
    curve = LiveCurve(work_dir)
    assert curve.snapshot() is None and begun.wait(60)
    assert curve.snapshot() is None
    go_on.set()
    assert curve._read_once.wait(60) and curve.snapshot() is not None
    with curve._lock:
        assert curve.snapshot() is not None
