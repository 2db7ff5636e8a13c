"""A tokenizer.json of a tokenizer.model, InternLM's or Llama's, token for token.

The authors' tokenizers put a text's parts between special tokens through sentencepiece. Here the same pieces
and merges stand in a ``tokenizers`` BPE: without a space put before the text where the model's own settings
say so, with the symbols that sentencepiece never splits, and with the names that tokenizer_config.json gives
to unused places. What came out is compared with sentencepiece itself before it is used.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2
from tokenizers import AddedToken, Tokenizer, decoders, normalizers
from tokenizers.models import BPE
from transformers.convert_slow_tokenizer import generate_merges

from core.engine.tokenizer_file import PreTrainedTokenizerFast
from core.errors import NotAModel
from core.wording import say

BPE_TYPE = 2
NORMAL, UNKNOWN, CONTROL, USER_DEFINED = 1, 2, 3, 4
SPACE = "▁"
# Spaces, scripts, digits, bytes, marks of templates: where tokenizers differ, they differ here.
PROBES = (
    "Hello, world!",
    " leading",
    "trailing ",
    "two  spaces   three",
    "tab\tand\nnew\n\nlines\r\n",
    "你好，世界。请做一下自我介绍",
    "日本語 한국어 العربية ελληνικά",
    "1234567890 3.14159 1,000,000",
    "👩‍🔧🫨 e\u0301 ﷽ 𝔘𝔫𝔦",
    "def f(x):\n    return x ** 2  # ok",
    "▁under▁score",
    "<|User|>:hi\n<|Bot|>:",
    "",
    "https://example.org/?a=b&c=%20",
)


def llama_tokenizer(model: Path, about: Mapping[str, Any]) -> PreTrainedTokenizerFast:
    """The tokenizer of a tokenizer.model with the special tokens of ``about`` (tokenizer_config.json).

    Raises NotAModel when it is no BPE, or would give other tokens than sentencepiece does.
    """
    proto = _read(model)
    named = _named(about)
    tokenizer = _bpe(proto, named)
    _compare(model, tokenizer, named)
    special = {name: _text(about.get(name)) or default for name, default in _SPECIAL.items()}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        legacy=True,
        add_bos_token=bool(about.get("add_bos_token", True)),
        add_eos_token=bool(about.get("add_eos_token", False)),
        clean_up_tokenization_spaces=False,
        padding_side="right",
        **special,
    )


_SPECIAL = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}  # nosec B105  # tokens of the vocabulary


def _read(model: Path) -> Any:
    proto = sentencepiece_model_pb2.ModelProto()
    try:
        proto.ParseFromString(model.read_bytes())
    except Exception as error:  # protobuf's DecodeError is of another module in each of its backends
        raise NotAModel(
            folder=model.parent, reason=say("model.unreadable", file=model.name, detail="protobuf")
        ) from error
    if proto.trainer_spec.model_type != BPE_TYPE:
        raise NotAModel(folder=model.parent, reason=say("model.tokenizer_kind"))
    return proto


def _named(about: Mapping[str, Any]) -> dict[int, AddedToken]:
    """The tokens that tokenizer_config.json puts at certain places."""
    found = about.get("added_tokens_decoder") or {}
    return {
        int(place): AddedToken(token["content"], special=bool(token.get("special", True)), normalized=False)
        for place, token in found.items()
    }


def _bpe(proto: Any, named: Mapping[int, AddedToken]) -> Tokenizer:
    pieces = [_piece(place, piece, named) for place, piece in enumerate(proto.pieces)]
    vocabulary = {text: place for place, text in enumerate(pieces)}
    scores = {
        text: piece.score
        for text, piece in zip(pieces, proto.pieces, strict=True)
        if piece.type in {NORMAL, USER_DEFINED}  # nothing merges into a byte or a control token
    }
    unknown = next(
        (text for text, piece in zip(pieces, proto.pieces, strict=True) if piece.type == UNKNOWN), None
    )
    model = BPE(
        vocabulary,
        generate_merges(vocabulary, scores),
        unk_token=unknown,
        fuse_unk=True,
        byte_fallback=proto.trainer_spec.byte_fallback,
    )
    tokenizer = Tokenizer(model)
    tokenizer.add_tokens(_whole_symbols(proto, pieces, named))
    tokenizer.add_tokens([token for place, token in sorted(named.items()) if place >= len(pieces)])
    prefix = proto.normalizer_spec.add_dummy_prefix
    tokenizer.normalizer = normalizers.Sequence(
        [*([normalizers.Prepend(SPACE)] if prefix else []), normalizers.Replace(" ", SPACE)]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            *([decoders.Strip(" ", left=1)] if prefix else []),
        ]
    )
    return tokenizer


def _piece(place: int, piece: Any, named: Mapping[int, AddedToken]) -> str:
    """A place's text. sentencepiece never uses a piece that holds the null character (0.2.3 says so)."""
    if place in named:
        return str(named[place].content)
    return f"<unused {place}>" if "\0" in piece.piece else str(piece.piece)


def _whole_symbols(proto: Any, pieces: list[str], named: Mapping[int, AddedToken]) -> list[AddedToken]:
    """Tokens that are never split: the named ones, control tokens and what was defined as a symbol."""
    return [
        named.get(place) or AddedToken(pieces[place], special=piece.type == CONTROL, normalized=False)
        for place, piece in enumerate(proto.pieces)
        if place in named or piece.type in {CONTROL, USER_DEFINED}
    ]


def _compare(model: Path, tokenizer: Tokenizer, named: Mapping[int, AddedToken]) -> None:
    """Raises NotAModel at the first probe of which sentencepiece makes other tokens."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = SentencePieceProcessor(model_file=str(model))
    marks = [str(token.content) for token in named.values()]
    for probe in PROBES:
        if any(mark in probe for mark in marks):
            continue
        theirs = reference.encode(probe)
        if tokenizer.encode(probe, add_special_tokens=False).ids != theirs:
            raise NotAModel(folder=model.parent, reason=say("model.tokenizer_differs", text=repr(probe)))


def _text(named: object) -> str:
    return str(named.get("content", "")) if isinstance(named, dict) else str(named or "")
