"""The starter: SmolLM2-135M-Instruct (Apache-2.0, Hugging Face) out of its GGUF file into a model folder.

transformers reads the GGUF; bos, eos and pad, which 4.57 left wrong, are set here as the model was trained.
Its chat template adds a default system prompt; the one written here adds none, so that training, replay and
chat all see the same text.

The tokenizer is saved as Qwen2TokenizerFast, which is what it is: byte-level BPE without a first token.
XTuner 0.2.0's encode_fn puts ``bos_token_id`` before every conversation whatever ``add_bos_token`` says,
except for that class (xtuner/dataset/utils.py): with any other, each training text began with a second
``<|im_start|>`` that no chat has.
"""

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from core.engine.older_readers import write_for_older_readers
from core.engine.tokenizer_file import Qwen2TokenizerFast
from core.jobs import progress
from core.jobs.progress import Phase

EOS, UNKNOWN = "<|im_end|>", "<|endoftext|>"
BOS_ID, EOS_ID = 1, 2
# XTuner's qwen_chat: no newline stands before a question but the one that ends the turn before it.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def main(gguf: str, folder: str) -> None:
    """Write the starter into ``folder``, whole or not at all."""
    target = Path(folder)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    convert_starter(Path(gguf), partial)
    if target.exists():  # another process was quicker; its result is the same
        shutil.rmtree(partial)
    else:
        partial.rename(target)
    print(f"starter written to {target}", flush=True)


def convert_starter(source: Path, folder: Path) -> None:
    """Read the GGUF file and write safetensors, tokenizer, template and generation settings."""
    print(f"reading {source.name}", flush=True)
    progress.phase(Phase.converting)
    read_gguf_once()
    model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)  # nosec B615  # a folder
    read = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)  # nosec B615  # a folder
    tokenizer = Qwen2TokenizerFast(
        tokenizer_object=read.backend_tokenizer,
        unk_token=UNKNOWN,
        bos_token=None,
        eos_token=EOS,
        pad_token=EOS,
        # it would rewrite " ." and " n't" in answers
        clean_up_tokenization_spaces=False,
        model_max_length=model.config.max_position_embeddings,
        chat_template=CHAT_TEMPLATE,
        padding_side="right",
    )
    model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id = BOS_ID, EOS_ID, EOS_ID
    model.config._name_or_path = ""
    _forget_the_file(model)
    model.generation_config = GenerationConfig(
        bos_token_id=BOS_ID, eos_token_id=EOS_ID, pad_token_id=EOS_ID, do_sample=False
    )
    progress.phase(Phase.saving)
    model.save_pretrained(folder)
    write_for_older_readers(folder)
    tokenizer.save_pretrained(folder)
    # transformers copies the GGUF file under this name: 98 MB that nothing reads.
    (folder / "tokenizer.model").unlink(missing_ok=True)


def _forget_the_file(model: Any) -> None:
    """transformers 5.24 counts a model that it read out of a GGUF file as quantized, and saves none of those;
    its weights are plain numbers by now."""
    model.hf_quantizer = None
    del model.config.quantization_config


def read_gguf_once() -> None:
    """transformers 5.24 parses the same file three times (5 s each) and builds the same name map once a
    layer object: remember both for the life of this process."""
    gguf.GGUFReader = cache(gguf.GGUFReader)
    gguf.get_tensor_name_map = cache(gguf.get_tensor_name_map)
