"""What computes on a processor begins with as many threads as cores are free.

Threads that share a core with another program wait for each other at every product: two of them beside busy
programs are slower than one (scripts/bench busy), at answers, whose products are small, most of all. What
others take is measured while this process imports and loads.
"""

import os
import time

from core.machine import OtherWork, free_threads
from core.steps.step import THREADS_VARIABLE

# Seconds that say something of others; a fork of what has imported everything has not waited for that.
LOOKED_FOR = 0.5


def take_free_cores(others: OtherWork) -> None:
    """Compute with as many threads as there is room for; with those that somebody asked for, if anybody did,
    and where several processes share the machine with those that they were given."""
    import torch

    if not computes_with_free_cores():
        return
    time.sleep(max(0.0, LOOKED_FOR - others.passed))
    kept = others.cores()
    threads = free_threads(kept)
    if threads < torch.get_num_threads():
        torch.set_num_threads(threads)
        print(f"Other programs take {kept:.1f} cores: computing with {threads} thread(s).", flush=True)


def computes_with_free_cores() -> bool:
    """Whether nobody said how many threads this process has, and they are what it computes with."""
    import torch

    alone = os.environ.get("WORLD_SIZE", "1") == "1"
    return os.environ.get(THREADS_VARIABLE) == "free" and alone and not torch.cuda.is_available()
