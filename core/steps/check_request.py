"""What a check of a data file is asked for; apart from the check, whose libraries take their time."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import with_config

from core.data.opening import Reading
from core.recipe.recipe import Recipe


@with_config(extra="forbid")
@dataclass(frozen=True)
class CheckRequest:
    """What is checked, for which training. ``model`` None: the starter; ``template`` None: its own."""

    file: Path
    model: str | None = None
    max_length: int = Recipe.max_length
    template: str | None = None
    reading: Reading = Reading()
