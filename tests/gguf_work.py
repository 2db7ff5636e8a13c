"""What the GGUF tests do with torch and llama.cpp, each in a process of its own.

python -m tests.gguf_work make FAMILY FOLDER     a tiny random model of a family
python -m tests.gguf_work look FOLDER FILE       how far a GGUF file's logits are from its source's, as JSON
python -m tests.gguf_work llama FILE PROMPT IDS  llama.cpp's tokens of a prompt and how it goes on, as JSON
"""

import http.client
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tokenizers import AddedToken, Tokenizer, decoders, normalizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from core.publish.llama_cpp import SPLITS
from core.workspace.paths import BANKS
from tests.small_model import CHAT_TEMPLATE, SPECIAL, VOCABULARY, make_small_model

SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.1,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", "tie_word_embeddings": True},
    "internlm": {"model_type": "llama", "attention_bias": True},
    "llama3": {"model_type": "llama", "rope_scaling": LLAMA3, "head_dim": 32},
    "mistral": {"model_type": "mistral", "sliding_window": None},
    "qwen2": {"model_type": "qwen2", "tie_word_embeddings": True},
    "qwen3": {"model_type": "qwen3", "head_dim": 128},
}
TEXT = "<|im_start|>user\nWho are you? 你是谁？ 1234 don't  stop<|im_end|>\n<|im_start|>assistant\n"


def make(family: str, folder: str) -> None:
    """``sentencepiece`` is a Llama with a tokenizer of pieces."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    target = make_small_model(Path(folder))
    (target / "model.safetensors").unlink()
    settings = FAMILIES.get(family) or FAMILIES["internlm"]
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**{**SHAPE, **settings}))
    for name, tensor in model.named_parameters():
        if name.endswith(".bias"):  # made as zeros
            torch.nn.init.normal_(tensor, std=0.2)
    model.half().save_pretrained(target, safe_serialization=True)
    if split := {"llama3": "llama-bpe", "qwen2": "qwen2", "qwen3": "qwen2"}.get(family):
        _split_as(target / "tokenizer.json", split)
    if family == "sentencepiece":
        _pieces().save(str(target / "tokenizer.json"))
        names = {
            "unk_token": "<unk>",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "chat_template": CHAT_TEMPLATE,
        }
        about = {"tokenizer_class": "LlamaTokenizer", "legacy": True, "chat_template": CHAT_TEMPLATE, **names}
        (target / "tokenizer_config.json").write_text(json.dumps(about), encoding="utf-8")


def _split_as(file: Path, name: str) -> None:
    """Text is split as the family's own tokenizers do."""
    pattern = next(pattern for pattern, known in SPLITS.items() if known == name)
    steps = [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
    ]
    described = json.loads(file.read_text(encoding="utf-8"))
    described["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}
    file.write_text(json.dumps(described), encoding="utf-8")


def _pieces() -> Tokenizer:
    """As Llama's and InternLM's are: pieces with a byte for whatever has none, a blank before every text."""
    tokenizer = Tokenizer(BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    fallback = [
        decoders.Replace("▁", " "),
        decoders.ByteFallback(),
        decoders.Fuse(),
        decoders.Strip(" ", 1, 0),
    ]
    tokenizer.decoder = decoders.Sequence(fallback)
    bytes_ = [f"<0x{number:02X}>" for number in range(256)]
    trainer = BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL),
        special_tokens=["<unk>", "<s>", "</s>", *bytes_],
        limit_alphabet=300,
        max_token_length=8,
        show_progress=False,
    )
    words = " ".join(bank.read_text(encoding="utf-8") for bank in sorted(BANKS.glob("*.json"))).split()
    tokenizer.train_from_iterator(words, trainer)
    described = json.loads(tokenizer.to_str())
    described["added_tokens"] = [one for one in described["added_tokens"] if one["content"] not in bytes_]
    found = Tokenizer.from_str(json.dumps(described))
    found.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    return found


def look(folder: str, *files: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from core.engine.arrival import gguf_config

    tokenizer, config = AutoTokenizer.from_pretrained(folder), gguf_config(folder)
    ids = tokenizer(TEXT, return_tensors="pt", add_special_tokens=False)["input_ids"]
    source = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    output = source.generate(ids, max_new_tokens=12, do_sample=False, eos_token_id=2, pad_token_id=2)
    differences = {}
    with torch.inference_mode():
        here = source(ids).logits[0]
        next_ones = source(output[:, :-1]).logits[0, ids.shape[1] - 1 :].log_softmax(-1)
        for path in map(Path, files):
            read = AutoModelForCausalLM.from_pretrained(
                path.parent, gguf_file=path.name, config=config, dtype=torch.float32
            )
            differences[path.stem.removeprefix("model-")] = (
                (here - read.eval()(ids).logits[0]).abs().max().item()
            )
    exact = Path(files[0])
    own = AutoTokenizer.from_pretrained(exact.parent, gguf_file=exact.name)
    found = {
        "largest": differences,
        "spread": here.std().item(),
        "template": own.chat_template,
        "ids": ids[0].tolist(),
        "vocabulary": tokenizer.get_vocab().items() <= own.get_vocab().items(),
        "written": output[0, ids.shape[1] :].tolist(),
        "next": next_ones.tolist(),
    }
    print(json.dumps(found))


def llama(file: str, prompt: str, written: str) -> None:
    """``written``: the tokens after the prompt, as JSON. At each of their places llama.cpp is told what is
    before it; how probable it holds every token of the vocabulary is printed, as logarithms, in its order."""
    import xllamacpp

    asked = xllamacpp.CommonParams()
    asked.model.path = file
    asked.n_ctx = 256
    asked.warmup = False
    server = xllamacpp.Server(asked)
    tokens = _ask(server, "/tokenize", content=prompt, add_special=False, parse_special=True)["tokens"]
    after = json.loads(written)
    next_ones = [_next(server, tokens + after[:place]) for place in range(len(after))]
    print("\n" + json.dumps({"ids": tokens, "next": next_ones}), flush=True)


def _next(server: Any, tokens: list[int]) -> list[float]:
    """Of the model itself, whatever is sampled: a whole letter, of half a one llama.cpp reports nothing."""
    asked_for = {"prompt": tokens, "n_predict": 1, "n_probs": VOCABULARY, "logit_bias": [["a", 1000]]}
    (found,) = _ask(server, "/completion", **asked_for)["completion_probabilities"]
    return [one["logprob"] for one in sorted(found["top_logprobs"], key=lambda one: int(one["id"]))]


def _ask(server: Any, path: str, **body: object) -> dict[str, Any]:
    where = urlsplit(server.listening_address)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=120)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    found: dict[str, Any] = json.load(connection.getresponse())
    return found


ACTS: dict[str, Callable[..., None]] = {"make": make, "look": look, "llama": llama}

if __name__ == "__main__":
    ACTS[sys.argv[1]](*sys.argv[2:])
