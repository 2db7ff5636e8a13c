"""See ``tests/fake_xtuner/__init__.py``."""

import argparse
import os
from pathlib import Path

from core.jobs.done import leave_done
from core.jobs.progress import JOB_VARIABLE
from tests.fake_xtuner.training import Faults, Settings, Training
from tests.holding import hold


def main() -> None:
    parser = argparse.ArgumentParser(prog="xtuner", description="Train LLM")
    tools = parser.add_subparsers(dest="tool", required=True)
    train = tools.add_parser("train")
    train.add_argument("config", type=Path)
    train.add_argument("--work-dir", type=Path, required=True)
    train.add_argument("--deepspeed")
    train.add_argument("--resume", type=Path)
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    asked = parser.parse_args()
    settings = Settings.of(asked.config.read_text(encoding="utf-8"))
    Training(settings, Faults.of_environment(), asked.work_dir, asked.seed).run(asked.resume)
    if job := os.environ.get(JOB_VARIABLE):
        leave_done(Path(job))
    hold("done")


main()
