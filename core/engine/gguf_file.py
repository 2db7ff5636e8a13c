"""A model folder as GGUF files for llama.cpp and Ollama, by the ``gguf`` package (0.19, MIT).

Llama (InternLM is one), Mistral, Qwen2 and Qwen3. What the package can write is used: f16, q8_0, q5_1, q5_0,
q4_1, q4_0; the K types it can only read. One tensor is in memory at a time.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType
from safetensors import safe_open

from core.engine.gguf_vocabulary import write_vocabulary
from core.jobs import progress
from core.jobs.progress import Phase
from core.publish.llama_cpp import ARCHITECTURES, rope_of, rope_type

Array = npt.NDArray[Any]
BLOCK = 32
# A vocabulary's rows are half of a small model and read one at a time: four bits there cost the most.
KEPT_AT_8_BITS = ("token_embd.weight", "output.weight")
FOUR_OR_FIVE_BITS = {"q4_0", "q4_1", "q5_0", "q5_1"}


def main(source: str, target: str, name: str, template: str, *quants: str) -> None:
    """Write ``model-<quant>.gguf`` into ``target`` for each of ``quants``."""
    for place, quant in enumerate(quants):
        print(f"writing model-{quant}.gguf", flush=True)
        progress.phase(Phase.writing)

        def tell(done: int, of: int, before: int = place) -> None:
            progress.reach(done, of, (before + done / of) / len(quants))

        write_gguf(Path(source), Path(target) / f"model-{quant}.gguf", name, template, quant, tell)


def write_gguf(
    source: Path,
    file: Path,
    name: str,
    template: str,
    quant: str,
    tell: Callable[[int, int], object] = lambda *_: None,
) -> None:
    """One GGUF file of the model in ``source``; ``template`` is the training's prompt template by name.
    ``tell`` hears how many tensors are written, and of how many."""
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    writer = GGUFWriter(file, ARCHITECTURES[config["model_type"]])
    writer.add_name(name)
    writer.add_file_type(LlamaFileType[f"MOSTLY_{quant.upper()}"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _write_shape(writer, config)
    write_vocabulary(writer, source, template, config["vocab_size"])
    tensors = dict(_plan(source, config, quant))
    for tensor, (_, shape, kind) in tensors.items():
        size = math.prod(gguf.quant_shape_to_byte_shape(shape, kind)) if _is_blocked(kind) else 0
        writer.add_tensor_info(tensor, shape, np.dtype(np.float32), size or _bytes(shape, kind), kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for number, (tensor, (place, _, kind)) in enumerate(tensors.items(), 1):
        writer.write_tensor_data(gguf.quantize(np.ascontiguousarray(_read(place, tensor, config)), kind))
        print(f"wrote {number}/{len(tensors)}", flush=True)
        tell(number, len(tensors))
    writer.close()


Place = tuple[Path | None, str]


def _write_shape(writer: GGUFWriter, config: Mapping[str, Any]) -> None:
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    width = config.get("head_dim") or hidden // heads
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(hidden)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(rope_of(config)["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    _write_rope(writer, config)


def _write_rope(writer: GGUFWriter, config: Mapping[str, Any]) -> None:
    kind, scaling = rope_type(config), rope_of(config)
    if kind in {"linear", "yarn"}:
        writer.add_rope_scaling_type(gguf.RopeScalingType(kind))
        writer.add_rope_scaling_factor(scaling["factor"])
    if kind == "yarn":
        original = scaling.get("original_max_position_embeddings") or config["max_position_embeddings"]
        writer.add_rope_scaling_orig_ctx_len(original)


def _plan(
    source: Path, config: Mapping[str, Any], quant: str
) -> Iterator[tuple[str, tuple[Place, tuple[int, ...], GGMLQuantizationType]]]:
    """Every tensor by llama.cpp's name: where it is read, its shape, and how it is written."""
    architecture = {text: key for key, text in gguf.MODEL_ARCH_NAMES.items()}[
        ARCHITECTURES[config["model_type"]]
    ]
    names = gguf.get_tensor_name_map(architecture, config["num_hidden_layers"])
    if rope_type(config) == "llama3":
        shape = _rope_factors(config).shape
        yield "rope_freqs.weight", ((None, "rope"), shape, GGMLQuantizationType.F32)
    for file in sorted(source.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for found in tensors.keys():  # noqa: SIM118  (not a dict)
                if config.get("tie_word_embeddings") and found == "lm_head.weight":
                    continue
                name = names.get_name(found, try_suffixes=(".weight", ".bias"))
                if name is None:
                    raise ValueError(f"llama.cpp has no name for the tensor {found}")
                shape = tuple(tensors.get_slice(found).get_shape())
                yield name, ((file, found), shape, _kind(name, shape, quant))


def _kind(name: str, shape: tuple[int, ...], quant: str) -> GGMLQuantizationType:
    """Vectors stay float32; rows that no block fits stay float16."""
    if len(shape) == 1:
        return GGMLQuantizationType.F32
    if quant in FOUR_OR_FIVE_BITS and name in KEPT_AT_8_BITS:
        quant = "q8_0"
    if quant != "f16" and shape[-1] % BLOCK:
        quant = "f16"
    return GGMLQuantizationType[quant.upper()]


def _is_blocked(kind: GGMLQuantizationType) -> bool:
    return kind not in {GGMLQuantizationType.F32, GGMLQuantizationType.F16}


def _bytes(shape: tuple[int, ...], kind: GGMLQuantizationType) -> int:
    return math.prod(shape) * (4 if kind is GGMLQuantizationType.F32 else 2)


def _read(place: Place, name: str, config: Mapping[str, Any]) -> Array:
    """A tensor in float32, as llama.cpp wants its rows ordered."""
    file, found = place
    if file is None:
        return _rope_factors(config)
    with safe_open(file, framework="pt") as tensors:
        values: Array = tensors.get_tensor(found).float().numpy()
    if ARCHITECTURES[config["model_type"]] == "llama":
        heads = config["num_attention_heads"]
        if ".attn_q." in name:
            return _interleaved(values, heads)
        if ".attn_k." in name:
            return _interleaved(values, config.get("num_key_value_heads") or heads)
    return values


def _interleaved(values: Array, heads: int) -> Array:
    """Rope pairs neighbouring rows in llama.cpp's Llama, and rows half a head apart in transformers'."""
    paired = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return paired.swapaxes(1, 2).reshape(values.shape)


def _rope_factors(config: Mapping[str, Any]) -> Array:
    """Llama 3's scaling, one divisor for each frequency (Llama 3.1's own formula)."""
    scaling = rope_of(config)
    factor, low, high = (scaling[name] for name in ("factor", "low_freq_factor", "high_freq_factor"))
    original = scaling["original_max_position_embeddings"]
    width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    waves = 2 * np.pi * scaling["rope_theta"] ** (np.arange(0, width, 2) / width)
    smooth = np.clip((original / waves - low) / (high - low), 0, 1)
    factors: Array = (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)
    return factors
