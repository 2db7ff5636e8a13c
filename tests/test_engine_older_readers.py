"""A config.json that is saved here: transformers 5 and what is older read the same model in it."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig

from core.engine.older_readers import write_for_older_readers
from core.workspace.files import read_json

pytestmark = [pytest.mark.slow]
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 1024,
}


@pytest.mark.parametrize(
    ("kind", "settings", "older"),
    [
        ("llama", {"rope_theta": 5e4}, {"rope_theta": 5e4, "rope_scaling": None}),
        (
            "llama",
            {"rope_theta": 5e5, "rope_scaling": {**LLAMA3}},
            {"rope_theta": 5e5, "rope_scaling": LLAMA3},
        ),
        ("qwen3", {"rope_theta": 1e6}, {"rope_theta": 1e6, "rope_scaling": None}),
        ("glm4", {}, {"partial_rotary_factor": 0.5}),
        ("gemma3_text", {}, {"rope_theta": 1e6, "rope_local_base_freq": 1e4}),
        ("gpt_oss", {}, {"rope_theta": 150000.0}),
        ("gemma4_text", {}, {}),
    ],
)
def test_both_names(tmp_path: Path, kind: str, settings: dict[str, Any], older: dict[str, Any]) -> None:
    config = AutoConfig.for_model(kind, **settings)
    config.save_pretrained(tmp_path)
    before = AutoConfig.from_pretrained(tmp_path).to_dict()
    write_for_older_readers(tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).to_dict() == before
    found = read_json(tmp_path / "config.json") or {}
    assert {name: found[name] for name in older} == older
