"""A small model whose tokenizer puts a space before every text, as InternLM's and Llama 2's do."""

import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from core.workspace.paths import BANKS
from tests.small_model import VOCABULARY, make_small_model

SPECIAL = ("<unk>", "<s>", "</s>", "<eoh>", "<eoa>", "<|im_start|>", "<|im_end|>")
SPACE = "▁"
# Rarer characters are written in bytes.
ALPHABET = 300
SETTINGS = {
    "tokenizer_class": "LlamaTokenizerFast",
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "pad_token": "</s>",
    "add_bos_token": True,
}


def make_spaced_model(folder: Path, chat_template: str | None = None, across: bool = False) -> Path:
    """Write the model into ``folder`` and return it; by default it has no chat template.

    ``across``: no space is put in; instead it joins the end of a prompt and the beginning of an answer.
    """
    make_small_model(folder)
    make_tokenizer(across).save(str(folder / "tokenizer.json"))
    file = folder / "tokenizer_config.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    special = {str(n): {"content": text, "special": True} for n, text in enumerate(SPECIAL)}
    settings |= {**SETTINGS, "added_tokens_decoder": special, "chat_template": chat_template}
    file.write_text(json.dumps(settings), encoding="utf-8")
    return folder


def make_tokenizer(across: bool) -> Tokenizer:
    """Byte-fallback BPE with sentencepiece's space mark."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    put_in = [] if across else [normalizers.Prepend(SPACE)]
    tokenizer.normalizer = normalizers.Sequence([*put_in, normalizers.Replace(" ", SPACE)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = [AddedToken(text, special=True, normalized=False) for text in SPECIAL]
    every_byte = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        limit_alphabet=ALPHABET,
        special_tokens=[*special, *every_byte],
        show_progress=False,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(SPACE, "merged_with_next")
    banks = sorted(BANKS.glob("*.json"))
    texts = [bank.read_text(encoding="utf-8") for bank in banks]
    tokenizer.train_from_iterator([*texts, ":I\n" * 9999] if across else texts, trainer)
    tokenizer.pre_tokenizer = None
    return tokenizer
