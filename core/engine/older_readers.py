"""A saved model's config.json, readable for what is built on transformers 4 as well.

transformers 5 writes all of the rotary embedding into ``rope_parameters``. Older programs (transformers 4,
other servers and converters) look for ``rope_theta``, take 10,000 where there is none and say nothing: the
model then answers nonsense.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.workspace.files import read_json, write_json

# What stands in rope_parameters besides the scaling.
_BESIDE = {"rope_type", "rope_theta", "partial_rotary_factor"}


def write_for_older_readers(folder: Path) -> None:
    """Put their names beside the new ones in ``folder``'s config.json."""
    file = folder / "config.json"
    write_json(file, for_older_readers(read_json(file) or {}))


def for_older_readers(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings, with the older names; transformers 5 reads both alike."""
    found = dict(config)
    if isinstance(text := config.get("text_config"), Mapping):
        found["text_config"] = for_older_readers(text)
    written = config.get("rope_parameters")
    if not isinstance(written, Mapping):
        return found
    if "full_attention" in written and str(config.get("model_type")).startswith("gemma3"):
        older = _older(written["full_attention"])
        older["rope_local_base_freq"] = written["sliding_attention"]["rope_theta"]
        return {**older, **found}
    # Others with one for each kind of layer are of transformers 5 alone.
    return {**_older(written), **found} if "rope_theta" in written else found


def _older(written: Mapping[str, Any]) -> dict[str, Any]:
    scaling = {name: value for name, value in written.items() if name not in _BESIDE}
    kind = written.get("rope_type", "default")
    older = {
        "rope_theta": written["rope_theta"],
        "rope_scaling": None if kind == "default" else {"rope_type": kind, **scaling},
    }
    if "partial_rotary_factor" in written:
        older["partial_rotary_factor"] = written["partial_rotary_factor"]
    return older
