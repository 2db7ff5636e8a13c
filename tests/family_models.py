"""Small models that speak as real families do: a chat template of tests/templates, and a tokenizer that has
the family's special tokens."""

import json
from functools import cache
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, pre_tokenizers

from tests.chat_templates import ChatTemplate
from tests.small_model import make_small_model, make_tokenizer
from tests.spaced_tokenizer import make_tokenizer as make_spaced_tokenizer

NAMED = ("bos_token", "eos_token", "unk_token", "pad_token")


def make_family_model(folder: Path, template: ChatTemplate, metaspace: bool = False) -> Path:
    """Write the model into ``folder`` and return it.

    ``metaspace``: a spaced tokenizer in its newer form, which puts a space before the whole text alone, not
    before each text behind a special token.
    """
    make_small_model(folder)
    special = [*dict.fromkeys([*template.tokens.values(), *template.special, *template.stops])]
    tokenizer = Tokenizer.from_str(_shorter(_spaced() if template.spaced else _bytes(), len(special)))
    if metaspace:
        tokenizer.normalizer = None
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    tokenizer.save(str(folder / "tokenizer.json"))
    file = folder / "tokenizer_config.json"
    about = json.loads(file.read_text(encoding="utf-8"))
    for name in ("chat_template", *NAMED):
        about.pop(name, None)
    added = {str(tokenizer.token_to_id(text)): {"content": text, "special": True} for text in special}
    about |= {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "attention_mask"],
        "added_tokens_decoder": added,
        **template.tokens,
    }
    file.write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
    stops = {"eos_token_id": [tokenizer.token_to_id(text) for text in template.stops]}
    (folder / "generation_config.json").write_text(json.dumps(stops), encoding="utf-8")
    (folder / "chat_template.jinja").write_text(template.source, encoding="utf-8")
    return folder


def _shorter(tokenizer: str, number: int) -> str:
    """The tokenizer without its last merges: the added tokens then fit into the vocabulary of the model."""
    made = json.loads(tokenizer)
    made["model"]["merges"] = made["model"]["merges"][:-number]
    vocabulary = made["model"]["vocab"]
    made["model"]["vocab"] = {text: n for text, n in vocabulary.items() if n < len(vocabulary) - number}
    return json.dumps(made)


@cache
def _spaced() -> str:
    return make_spaced_tokenizer(across=False).to_str()


@cache
def _bytes() -> str:
    return make_tokenizer().to_str()
