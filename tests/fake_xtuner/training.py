"""A training run that only writes what XTuner 0.2.0 on mmengine 0.10.7 would write, in the same order."""

import ast
import json
import math
import os
import random
import re
import resource
import signal
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from tests.holding import hold

# What it says to a stop that comes while it writes its last checkpoint.
ASKED = "Asked to stop at its end."
# Where it stands still when it is told to (tests.holding).
STEP, CHECKPOINT = 25, 30

OOM = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB of which "
    "1.06 GiB is free. Process 1 has 78.03 GiB memory in use."
)


# What it takes and keeps.
TAKEN: list[bytes] = []
# A file that the first fault deletes; without it nothing goes wrong any more.
ONCE = "FAKE_XTUNER_ONCE"


class OutOfMemoryError(RuntimeError):
    """Named as in torch, where the last line of the traceback is ``torch.OutOfMemoryError: CUDA out …``."""


OutOfMemoryError.__module__ = "torch"


@dataclass(frozen=True)
class Settings:
    """What the config says, with XTuner's defaults."""

    max_iters: int = 160
    save_steps: int = 500
    save_total_limit: int = 2
    evaluation_freq: int | None = None
    evaluation_inputs: tuple[str, ...] = ()
    lr: float = 2e-4
    log_every: int = 10

    @classmethod
    def of(cls, config: str) -> "Settings":
        """Read a config's plain assignments; it is not run."""
        found: dict[str, Any] = {}
        for statement in ast.parse(config).body:
            match statement:
                case ast.Assign(targets=[ast.Name(name)], value=value) if name in cls.__dataclass_fields__:
                    found[name] = ast.literal_eval(value)
        if logger := re.search(r"LoggerHook,[^)]*interval=(\d+)", config):
            found["log_every"] = int(logger[1])
        found["evaluation_inputs"] = tuple(found.get("evaluation_inputs") or ())
        return cls(**found)


@dataclass(frozen=True)
class Faults:
    """What goes wrong, and when."""

    seconds: float = 0.0
    crash_at: int | None = None
    oom_at: int | None = None
    kill_at: int | None = None
    nan_at: int | None = None
    no_memory_at: int | None = None
    take_at: int | None = None
    take: int = 0
    memory: int | None = None

    @classmethod
    def of_environment(cls) -> "Faults":
        found = {name: os.environ.get(f"FAKE_XTUNER_{name.upper()}") for name in cls.__dataclass_fields__}
        seconds = float(found.pop("seconds") or 0)
        return cls(seconds, **{name: int(value) for name, value in found.items() if value})

    def strike(self, iteration: int) -> None:
        if iteration in {self.kill_at, self.crash_at, self.oom_at} and (once := os.environ.get(ONCE)):
            if not Path(once).exists():
                return
            Path(once).unlink()
        if iteration == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if iteration == self.crash_at:
            raise RuntimeError(f"fake crash at iteration {iteration}")
        if iteration == self.oom_at:
            raise OutOfMemoryError(OOM)
        if iteration == self.no_memory_at:
            resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
            bytes(1 << 31)
        if iteration == self.take_at:
            TAKEN.append(b"x" * (self.take << 20))


class Training:
    """One start of ``xtuner train``."""

    def __init__(self, settings: Settings, faults: Faults, work_dir: Path, seed: int) -> None:
        self.settings, self.faults, self.work_dir, self.seed = settings, faults, work_dir, seed
        self.checkpoints: list[int] = []
        self.folder = self._new_time_folder()
        self.scalars = self.folder / "vis_data" / "scalars.json"
        self.scalars.parent.mkdir()
        self.scalars.write_text("\n", encoding="utf-8")  # mmengine's begins with an empty line

    def run(self, resume: Path | None) -> None:
        start = 0
        if resume:
            start = json.loads(ZipFile(resume).read("checkpoint.json"))["iter"]
            self.log(f"Load checkpoint from {resume}")
            self.log(f"resumed epoch: 0, iter: {start}")
        self.log("Num train samples 500")
        self.chat("before_train", start)
        self.log(f"Checkpoints will be saved to {self.work_dir}.")
        hold("begin")
        for iteration in range(start + 1, self.settings.max_iters + 1):
            if iteration == STEP:
                hold("step")
            time.sleep(self.faults.seconds)
            self.faults.strike(iteration)
            self.after_iteration(iteration)
        self.chat("after_train", self.settings.max_iters)

    def after_iteration(self, iteration: int) -> None:
        """The hooks in the order of their priorities: logger (60), chat (70), checkpoint (90). The chat also
        asks wherever a checkpoint is saved."""
        settings = self.settings
        saved = iteration % settings.save_steps == 0 or iteration == settings.max_iters
        if iteration % settings.log_every == 0:
            self.progress(iteration)
        if settings.evaluation_freq and (saved or iteration % settings.evaluation_freq == 0):
            self.chat("after_train_iter", iteration)
        if saved:
            self.save(iteration)

    def log(self, text: str) -> None:
        """One record: with the year in the file, without it on the terminal."""
        now = time.localtime()
        print(f"{time.strftime('%m/%d %H:%M:%S', now)} - mmengine - INFO - {text}", flush=True)
        with (self.folder / f"{self.folder.name}.log").open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y/%m/%d %H:%M:%S', now)} - mmengine - INFO - {text}\n")

    def progress(self, iteration: int) -> None:
        numbers = self.numbers(iteration)
        total = self.settings.max_iters
        eta = timedelta(seconds=int((total - iteration) * numbers["time"]))
        memory = f"memory: {self.faults.memory}  " if self.faults.memory else ""
        self.log(
            f"Iter(train) [{str(iteration).rjust(len(str(total)))}/{total}]  lr: {numbers['lr']:.4e}  "
            f"eta: {eta}  time: {numbers['time']:.4f}  data_time: {numbers['data_time']:.4f}  {memory}"
            f"loss: {numbers['loss']:.4f}  grad_norm: {numbers['grad_norm']:.4f}"
        )
        row = numbers | {"iter": iteration, "step": iteration}
        if self.faults.memory:
            row["memory"] = self.faults.memory
        with self.scalars.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def numbers(self, iteration: int) -> dict[str, float]:
        """A curve that falls; the same for the same seed."""
        noise = random.Random(f"{self.seed}-{iteration}").random()
        done = iteration / self.settings.max_iters
        loss = 0.4 + 2.4 * math.exp(-4 * done) + 0.1 * noise
        if self.faults.nan_at is not None and iteration >= self.faults.nan_at:
            loss = math.nan
        lr = self.settings.lr * (1 + math.cos(math.pi * (iteration - 1) / self.settings.max_iters)) / 2
        return {
            "lr": lr,
            "data_time": 0.01 + noise / 100,
            "grad_norm": 1 + noise,
            "loss": loss,
            "time": self.faults.seconds or 1 + noise / 10,
        }

    def chat(self, moment: str, iteration: int) -> None:
        if self.settings.evaluation_freq is None:
            return
        self.log(f"{moment} in EvaluateChatHook.")
        for question in self.settings.evaluation_inputs:
            self.log(
                f"Sample output:\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
                f"我是小助手, after {iteration} iterations.<|im_end|>\n"
            )

    def save(self, iteration: int) -> None:
        """mmengine deletes the oldest checkpoint before it writes the new one, and writes in place."""
        self.log(f"Saving checkpoint at {iteration} iterations")
        if len(self.checkpoints) == self.settings.save_total_limit:
            (self.work_dir / f"iter_{self.checkpoints.pop(0)}.pth").unlink()
        self.checkpoints.append(iteration)
        checkpoint = self.work_dir / f"iter_{iteration}.pth"
        last = iteration == self.settings.max_iters
        if iteration == CHECKPOINT or last:
            checkpoint.write_bytes(b"PK")
        if iteration == CHECKPOINT:
            hold("checkpoint")
        if last:  # the real one ends what it has almost done, whoever asks it to stop
            signal.signal(signal.SIGTERM, lambda *_: self.log(ASKED))
            hold("last")
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with ZipFile(checkpoint, "w") as file:  # as torch's files are
            file.writestr("checkpoint.json", json.dumps({"iter": iteration, "seed": self.seed}))
        (self.work_dir / "last_checkpoint").write_text(str(checkpoint), encoding="utf-8")

    def _new_time_folder(self) -> Path:
        while True:
            folder = self.work_dir / time.strftime("%Y%m%d_%H%M%S")
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                time.sleep(0.05)
            else:
                return folder
