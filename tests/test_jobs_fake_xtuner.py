"""The fake XTuner against a line of the real one, and read by the code that reads the real one."""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.jobs.curves import CurveReader, read_curve
from core.jobs.points import parse_log_line
from core.workspace.paths import PROJECT
from tests.test_curves import REAL

CONFIG = """\
from mmengine.hooks import LoggerHook
lr = 0.0002
max_iters = 60  # micro-batches
save_steps = 20
save_total_limit = 2
evaluation_freq = 20
evaluation_inputs = ["你是谁？", "What is 2 {and} 2?"]
work_dir = './never'
default_hooks = dict(logger=dict(type=LoggerHook, log_metric_by_epoch=False, interval=10))
"""


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    return tmp_path / "工作 区" / "a b"


def fake_train(folder: Path, *arguments: str, **faults: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.py").write_text(CONFIG, encoding="utf-8")
    command = [sys.executable, "-m", "tests.fake_xtuner", "train", str(folder / "config.py")]
    return subprocess.run(
        [*command, "--work-dir", str(folder / "work_dir"), "--seed", "7", *arguments],
        cwd=PROJECT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **faults},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=30,
    )


def shape(line: str) -> str:
    """A log line with every digit replaced by a 9."""
    return re.sub(r"\d", "9", line)


def test_the_fake_speaks_xtuners_log_format(work_dir: Path) -> None:
    done = fake_train(work_dir, FAKE_XTUNER_MEMORY="9800")
    assert done.returncode == 0 and done.stderr == ""
    progress = [line for line in done.stdout.splitlines() if "Iter(train)" in line]
    real = shape(REAL).replace("[ 99/999]", "[99/99]")  # 60 iterations have two digits, 160 three
    assert [shape(line) for line in progress] == [real] * 6
    on_terminal = [parse_log_line(line) for line in progress]
    (log,) = (work_dir / "work_dir").glob("*/*.log")
    in_file = [parse_log_line(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [point for point in in_file if point] == on_terminal
    assert [point.iter for point in on_terminal if point] == [10, 20, 30, 40, 50, 60]
    for exact, rounded in zip(read_curve(work_dir / "work_dir").points, on_terminal, strict=True):
        assert rounded and exact.loss == pytest.approx(rounded.loss, abs=6e-5)
        assert exact.memory == rounded.memory == 9800 and exact.total_iters == rounded.total_iters == 60


def test_the_fake_keeps_two_checkpoints_and_resumes(work_dir: Path) -> None:
    assert fake_train(work_dir, FAKE_XTUNER_CRASH_AT="55").returncode == 1
    made = work_dir / "work_dir"
    assert sorted(path.name for path in made.glob("iter_*.pth")) == ["iter_20.pth", "iter_40.pth"]
    assert (made / "last_checkpoint").read_text(encoding="utf-8") == str(made / "iter_40.pth")
    assert [point.iter for point in read_curve(made).points] == [10, 20, 30, 40, 50]
    assert fake_train(work_dir, "--resume", str(made / "iter_40.pth")).returncode == 0
    assert [point.iter for point in read_curve(made).points] == [10, 20, 30, 40, 50, 60]
    reader = CurveReader(made)
    reader.poll()
    asked_at = [sample.iter for sample in reader.samples]
    assert asked_at[:6] == [0, 0, 20, 20, 40, 40]
    assert asked_at[6:] == [40, 40, 60, 60, 60, 60]
    assert "after 60 iterations" in reader.samples[-1].text


def test_the_fake_writes_a_bare_nan(work_dir: Path) -> None:
    assert fake_train(work_dir, FAKE_XTUNER_NAN_AT="30").returncode == 0
    assert ": NaN" in next((work_dir / "work_dir").glob("*/vis_data/scalars.json")).read_text(
        encoding="utf-8"
    )
    losses = [point.loss for point in read_curve(work_dir / "work_dir").points]
    assert all(losses[:2]) and all(math.isnan(loss or 0) for loss in losses[2:])
