"""A tokenizer as GGUF metadata: tokens, their kinds and scores, merges, special tokens, the chat template."""

import json
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, SpecialVocab, TokenType

from core.engine.answer import end_tokens, first_token
from core.engine.tokenizer_file import load_tokenizer
from core.publish.facts import spoken_template
from core.publish.llama_cpp import SENTENCEPIECE, splitting
from core.recipe.own_template import template_of


def write_vocabulary(writer: GGUFWriter, folder: Path, template: str, size: int) -> None:
    """``size`` is the model's own: rows of its embedding that no token has get a placeholder."""
    described = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer, how = load_tokenizer(folder), splitting(described)
    pieces = how == SENTENCEPIECE
    tokens, types = _tokens(tokenizer, described, size, pieces)
    writer.add_tokenizer_model("llama" if pieces else "gpt2")
    writer.add_tokenizer_pre("default" if pieces else how)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if pieces:
        writer.add_token_scores(_scores(folder, tokens))
        writer.add_add_space_prefix(_space_first(described))
    _write_special(writer, folder, tokenizer, template, pieces)


def _write_special(writer: GGUFWriter, folder: Path, tokenizer: Any, template: str, pieces: bool) -> None:
    """The end token is the one that ends an answer, as in training, whatever ended a text before."""
    special = SpecialVocab(folder, load_merges=not pieces, n_vocab=len(tokenizer))
    spoken = template_of(template, folder)
    ends = end_tokens(tokenizer, spoken)
    suffix = tokenizer.convert_tokens_to_ids(spoken.suffix) if spoken.suffix else None
    end = suffix if suffix in ends else tokenizer.eos_token_id
    special.special_token_ids |= {"eos": end, "eot": end}
    special.add_special_token = {"bos": bool(first_token(tokenizer)), "eos": False}
    special.chat_template = spoken_template(folder, spoken)
    special.add_to_gguf(writer, quiet=True)


def _tokens(
    tokenizer: Any, described: dict[str, Any], size: int, pieces: bool
) -> tuple[list[str], list[int]]:
    known = {number: text for text, number in tokenizer.get_vocab().items()}
    added = {one["id"]: one for one in described.get("added_tokens", ())}
    tokens = [known.get(number, f"[PAD{number}]") for number in range(size)]
    types = [
        _type(number, text, number in known, added.get(number), tokenizer, pieces)
        for number, text in enumerate(tokens)
    ]
    return tokens, [int(kind) for kind in types]


def _type(
    number: int, text: str, known: bool, added: dict[str, Any] | None, tokenizer: Any, pieces: bool
) -> TokenType:
    if not known:
        return TokenType.UNUSED
    if pieces and number == tokenizer.unk_token_id:
        return TokenType.UNKNOWN
    if added:
        return TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
    byte = pieces and len(text) == len("<0x00>") and text.startswith("<0x")
    return TokenType.BYTE if byte else TokenType.NORMAL


def _scores(folder: Path, tokens: list[str]) -> list[float]:
    """SentencePiece's own where its file is there. Without it the order of the ids, which is that of the
    merges: Llama's and InternLM's scores are nothing else."""
    file = folder / "tokenizer.model"
    if not file.exists():
        return [-float(number) for number in range(len(tokens))]
    from sentencepiece import SentencePieceProcessor

    pieces = SentencePieceProcessor(model_file=str(file))
    count = pieces.get_piece_size()
    return [pieces.get_score(number) if number < count else 0.0 for number in range(len(tokens))]


def _space_first(described: dict[str, Any]) -> bool:
    """Whether a blank is put before a text: by a normalizer, or by a Metaspace that does it everywhere."""
    steps = [described.get("normalizer") or {}, described.get("pre_tokenizer") or {}]
    steps += [step for found in steps for step in found.get("normalizers", ())]
    return any(
        step.get("type") == "Prepend"
        or (step.get("type") == "Metaspace" and step.get("prepend_scheme", "always") == "always")
        for step in steps
    )
