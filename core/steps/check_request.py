"""What a check of a data file is asked for; apart from the check, whose libraries take their time."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import with_config

from core.data.opening import Reading


@with_config(extra="forbid")
@dataclass(frozen=True)
class CheckRequest:
    """What is checked, for which training. ``model`` None: the starter; ``template`` None: its own;
    ``max_length`` None: as long as a training of this file would take its rows. ``name`` and ``author``:
    whose assistant is taught and who made it; where they are empty, who most answers say."""

    file: Path
    model: str | None = None
    max_length: int | None = None
    template: str | None = None
    reading: Reading = Reading()
    name: str = ""
    author: str = ""
