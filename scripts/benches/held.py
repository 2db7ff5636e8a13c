"""What a server holds while it is used."""

from dataclasses import dataclass

import psutil

from tests.server import Dashboard


@dataclass(frozen=True)
class Held:
    """What the server holds: MB of memory, open files, threads; and the processor seconds it has used."""

    memory: float
    files: int
    threads: int
    used: float

    @classmethod
    def of(cls, server: Dashboard) -> "Held":
        process = psutil.Process(server.process.pid)
        times = process.cpu_times()
        memory = process.memory_info().rss / 1e6
        return cls(memory, process.num_fds(), process.num_threads(), times.user + times.system)

    def __str__(self) -> str:
        return f"{self.memory:6.0f} MB  {self.files:4} files  {self.threads:4} threads"
