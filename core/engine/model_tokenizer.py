"""The tokenizer of an imported model: one tokenizer.json that training, counting, chat and others read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from core.engine.model_weights import first_line
from core.engine.sentencepiece_tokenizer import llama_tokenizer
from core.engine.tokenizer_file import PreTrainedTokenizerFast, Qwen2TokenizerFast, load_tokenizer
from core.errors import NotAModel
from core.models.families import is_internlm
from core.models.folder import chat_template_of, read_object
from core.recipe.chat_template import training_template
from core.recipe.templates import TEMPLATES
from core.wording import say
from core.workspace.files import write_json

# What InternLM's first chat model was taught, whose files carry no chat template.
FIRST_TEMPLATE = {"internlm": "internlm_chat"}


def write_tokenizer(
    source: Path, folder: Path, config: Mapping[str, Any], rows: int
) -> PreTrainedTokenizerBase:
    """Write tokenizer.json with its settings into ``folder``; it is made where ``source`` has none.

    ``rows`` are the model's embeddings. Raises NotAModel.
    """
    about = _settings(source)
    if is_internlm(config) or _needs_conversion(source, about):
        tokenizer = _converted(source, about, str(config["model_type"]))
    elif (source / "tokenizer.json").exists():
        if about:
            write_json(folder / "tokenizer_config.json", without_code(about))
        tokenizer = _loaded(folder, source)
    else:
        tokenizer = _loaded(source, source)
    changed = _end(tokenizer, config)
    if _begins_with_nothing(tokenizer):
        tokenizer, changed = _without_first_token(tokenizer), True
    if changed or not (folder / "tokenizer.json").exists():
        tokenizer.save_pretrained(folder)
    _check_embeddings(tokenizer, rows, source)
    return tokenizer


def write_generation(folder: Path, tokenizer: PreTrainedTokenizerBase, config: Mapping[str, Any]) -> None:
    """Put what ends an answer into generation_config.json, for programs that know no prompt template."""
    path = folder / "generation_config.json"
    known = read_object(path) if path.exists() else {}
    ends = known.get("eos_token_id", config.get("eos_token_id"))
    all_ends = [*(ends if isinstance(ends, list) else [ends]), *_marks(tokenizer)]
    distinct = list(dict.fromkeys(end for end in all_ends if end is not None))
    special = {name: config[name] for name in ("bos_token_id", "pad_token_id") if name in config}
    write_json(path, {**special, **known, "eos_token_id": distinct})


def without_code(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A config that asks for no code of the model's authors."""
    return {name: value for name, value in settings.items() if name != "auto_map"}


def _settings(source: Path) -> dict[str, Any]:
    file = source / "tokenizer_config.json"
    return read_object(file) if file.exists() else {}


def _needs_conversion(source: Path, about: Mapping[str, Any]) -> bool:
    """Whether there is a Llama's tokenizer.model alone. transformers' own conversion (4.57.6) would put a
    space before every text, whatever the file says."""
    named = str(about.get("tokenizer_class", "LlamaTokenizer"))
    alone = (source / "tokenizer.model").exists() and not (source / "tokenizer.json").exists()
    return alone and named.startswith("LlamaTokenizer")


def _converted(source: Path, about: Mapping[str, Any], kind: str) -> PreTrainedTokenizerFast:
    tokenizer: PreTrainedTokenizerFast
    if (source / "tokenizer.model").exists():
        tokenizer = llama_tokenizer(source / "tokenizer.model", about)
    elif (source / "tokenizer.json").exists():
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(source / "tokenizer.json"))
    else:
        raise NotAModel(folder=source, reason=say("model.no_tokenizer"))
    if own := chat_template_of(source):
        tokenizer.chat_template = own
    elif kind in FIRST_TEMPLATE:
        template = TEMPLATES[FIRST_TEMPLATE[kind]]
        tokenizer.chat_template = training_template(template, type(tokenizer).__name__)
    return tokenizer


def _loaded(folder: Path, source: Path) -> PreTrainedTokenizerBase:
    try:
        tokenizer = load_tokenizer(folder)
        if not any((folder / name).exists() for name in tokenizer.vocab_files_names.values()):
            # transformers 5.24 makes an empty one of no file at all.
            raise FileNotFoundError(", ".join(tokenizer.vocab_files_names.values()))
        return tokenizer
    except Exception as error:  # each tokenizer class fails in its own way
        reason = say("model.tokenizer_unreadable", detail=first_line(error))
        raise NotAModel(folder=source, reason=reason) from error


def _end(tokenizer: PreTrainedTokenizerBase, config: Mapping[str, Any]) -> bool:
    """Name the last token by the model's config where the tokenizer has none; whether that was needed."""
    ends = config.get("eos_token_id")
    end = ends[0] if isinstance(ends, list) and ends else ends
    if tokenizer.eos_token is not None or not isinstance(end, int):
        return False
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
    return True


def _begins_with_nothing(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether neither the tokenizer nor the chat template puts the first token before a text (SmolLM2)."""
    if tokenizer.bos_token is None or "bos_token" in str(tokenizer.chat_template or ""):
        return False
    return bool(tokenizer("a")["input_ids"][:1] != [tokenizer.bos_token_id])


def _without_first_token(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """The same tokens as Qwen2's class: before the texts of every other, XTuner 0.2.0 puts a first token, and
    crashes where there is none."""
    return Qwen2TokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer,
        unk_token=tokenizer.unk_token,
        bos_token=None,
        eos_token=tokenizer.eos_token,
        pad_token=tokenizer.pad_token or tokenizer.eos_token,
        model_max_length=tokenizer.model_max_length,
        chat_template=tokenizer.chat_template,
        clean_up_tokenization_spaces=False,
        padding_side="right",
    )


def _check_embeddings(tokenizer: PreTrainedTokenizerBase, rows: int, source: Path) -> None:
    """Raises NotAModel for a tokenizer with tokens of which the model has no embedding."""
    last = max(tokenizer.get_vocab().values(), default=0)
    if last >= rows:
        raise NotAModel(folder=source, reason=say("model.tokenizer_larger", last=last, rows=rows))


def _marks(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that end an answer in the prompt template which the chat template speaks."""
    known = [mark for template in TEMPLATES.values() for mark in (template.suffix, *template.stop_words)]
    spoken = [mark for mark in dict.fromkeys(known) if mark and mark in (tokenizer.chat_template or "")]
    return [i for i in tokenizer.convert_tokens_to_ids(spoken) if i != tokenizer.unk_token_id]
