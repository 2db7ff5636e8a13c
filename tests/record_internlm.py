"""Record what the authors' own InternLM code computes, for tests/test_engine_native_llama.py.

    python -m tests.record_internlm internlm FOLDER COMMIT
    python -m tests.record_internlm internlm2 FOLDER COMMIT

FOLDER holds the authors' ``configuration_*.py`` and ``modeling_*.py``. They are read for this alone and are
no part of this project. The recordings in tests/recorded were made of (both Apache-2.0, InternLM):

* internlm: https://github.com/InternLM/InternLM, tools/transformers/internlm_model, at
  6c0ff4820fa98abf5834d8c34b2b4ba6ebfa18e0;
* internlm2: the files that the InternLM2 models carry on the hubs (modeling_internlm2.py of 2024), as kept in
  https://github.com/NanSang2000/S1mpleAgent at 4275caa205dbb8ff83930e2c1ce6bc62ec49329c.

The weights are random and large enough that a swapped matrix or a lost bias shows; one of the two sequences
is longer than ``max_position_embeddings``, where the rotary embedding is scaled. ``recorded.json`` says which
files were used.
"""

import hashlib
import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file

RECORDED = Path(__file__).parent / "recorded"
SEQUENCES = {"short": 12, "long": 40}
SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 16,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
}
OWN = {
    "internlm": {"bias": True, "rotary": {"base": 10000, "type": "dynamic"}},
    "internlm2": {
        "bias": True,
        "num_key_value_heads": 2,
        "rope_theta": 1000000,
        "rope_scaling": {"type": "dynamic", "factor": 2.0},
    },
}
CLASSES = {"internlm": "InternLM", "internlm2": "InternLM2"}


def main(kind: str, folder: str, commit: str) -> None:
    """Write config, weights, inputs and logits of one random model."""
    files = [Path(folder) / f"{part}_{kind}.py" for part in ("configuration", "modeling")]
    configuration, modeling = (_imported(Path(folder), file.stem) for file in files)
    config = getattr(configuration, f"{CLASSES[kind]}Config")(**SIZES, **OWN[kind])
    config._attn_implementation = config.attn_implementation = "eager"
    torch.manual_seed(7)
    model = getattr(modeling, f"{CLASSES[kind]}ForCausalLM")(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(torch.randn_like(weight) * (0.3 if weight.dim() == 2 else 0.5) + ("norm" in name))
        seen = {
            name: torch.randint(0, SIZES["vocab_size"], (2, length)) for name, length in SEQUENCES.items()
        }
        said = {name: model(ids, use_cache=False).logits for name, ids in seen.items()}
    target = RECORDED / kind
    target.mkdir(parents=True, exist_ok=True)
    weights = {name: one.detach().clone().contiguous() for name, one in model.state_dict().items()}
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    records = {f"{name}.ids": ids for name, ids in seen.items()}
    records |= {f"{name}.logits": logits.float().contiguous() for name, logits in said.items()}
    save_file(records, target / "logits.safetensors")
    architectures = [f"{CLASSES[kind]}ForCausalLM"]
    about: dict[str, Any] = {**SIZES, **OWN[kind], "model_type": kind, "architectures": architectures}
    about["auto_map"] = {"AutoModelForCausalLM": f"modeling_{kind}.{architectures[0]}"}
    _write(target / "config.json", about)
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    _write(target / "recorded.json", {"commit": commit, "files": hashes, **versions})


def _imported(folder: Path, module: str) -> Any:
    """A module of the authors' folder, whose files import each other relatively."""
    if "authors" not in sys.modules:
        spec = importlib.util.spec_from_loader("authors", loader=None, is_package=True)
        assert spec is not None
        package = importlib.util.module_from_spec(spec)
        package.__path__ = [str(folder)]
        sys.modules["authors"] = package
    return importlib.import_module(f"authors.{module}")


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
