"""What stands in a bundle: weights, configuration without traces, and what says how it was made."""

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from core.data.tokens import read_tokenizer
from core.proof.result import score_as_json
from core.proof.telling import wrong_facts
from core.publish import card, starters, usage
from core.publish.facts import Facts
from core.publish.request import MARK, PublishRequest
from core.recipe.recipe import to_yaml
from core.wording import sentences
from core.workspace.files import read_json, write_json, write_text
from core.workspace.paths import make_folder
from core.workspace.publish_paths import DEMO, LOOPS, NEAREST

# What transformers writes of where a model came from, by file.
PRIVATE = {
    "config.json": ("_name_or_path",),
    "tokenizer_config.json": ("name_or_path", "tokenizer_file", "vocab_file", "special_tokens_map_file"),
}
TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.model", "vocab.json",
    "merges.txt", "added_tokens.json",
)  # fmt: skip
MODEL_FILES = (*TOKENIZER_FILES, "config.json", "generation_config.json")
APP_PACKAGES = ("streamlit", "torch", "transformers")
APP_WORDS = (
    "demo.lead", "demo.loading", "demo.examples", "demo.who", "demo.ask", "demo.busy", "demo.stop",
    "demo.again", "demo.looped", "demo.long", "demo.stopped", "demo.failed", "demo.too_long",
    "demo.forgotten", "demo.gone", "demo.first", "demo.asked",
    "demo.guessed", "demo.meant", "demo.as_typed", "demo.not_taught", "demo.can_ask",
)  # fmt: skip
SETTINGS = ".streamlit"  # how Streamlit serves the app, whoever starts it
TAUGHT = "taught.json"  # the questions of its document, as they were taught
MODEL = "model"  # the app's model, a folder in its bundle

# Writes large files into a folder: a job of the engine.
Fill = Callable[[Path], None]


def put_weights(source: Path, folder: Path, request: PublishRequest, facts: Facts, fill: Fill) -> None:
    if request.what == "adapter":
        _put_adapter(source, folder, facts)
        return
    if request.what == "gguf":
        fill(folder)
        chosen = "q8_0" if "q8_0" in request.quants else request.quants[0]
        _put_modelfile(folder, facts, f"./model-{chosen}.gguf")
        starters.put_guide(folder, facts, "gguf")
        return
    target = folder / MODEL if request.what == "app" else folder
    make_folder(target, exist_ok=True)
    if any(
        file.stat().st_size > request.shard_bytes for file in source.glob("*.safetensors")
    ) or _merged_shards(source, request):
        fill(target)
    else:
        for file in (*source.glob("*.safetensors"), *source.glob("*.safetensors.index.json")):
            link(file, target / file.name)
    _put_model_files(source, target, facts)
    if request.what == "app":
        _put_app(folder, facts)
    else:
        _put_modelfile(folder, facts, ".")


def _merged_shards(source: Path, request: PublishRequest) -> bool:
    """Whether weights lie in more pieces than were asked for."""
    sizes = [file.stat().st_size for file in source.glob("*.safetensors")]
    return len(sizes) > 1 and sum(sizes) <= request.shard_bytes


def _put_adapter(source: Path, folder: Path, facts: Facts) -> None:
    link(source / "adapter_model.safetensors", folder / "adapter_model.safetensors")
    found = read_json(source / "adapter_config.json") or {}
    named = facts.base.id or facts.base.name
    write_json(folder / "adapter_config.json", {**found, "base_model_name_or_path": named})
    _put_tokenizer(Path(facts.recipe.model), folder, facts)


def _put_model_files(source: Path, folder: Path, facts: Facts) -> None:
    _put_tokenizer(source, folder, facts)
    for name in ("config.json", "generation_config.json"):
        if (source / name).exists():
            write_json(folder / name, _without(name, read_json(source / name)))
    settings = read_json(folder / "generation_config.json") or {}
    ends = _end_tokens(folder, facts, settings.get("eos_token_id"))
    write_json(folder / "generation_config.json", {**settings, "eos_token_id": ends or None})


def _put_tokenizer(source: Path, folder: Path, facts: Facts) -> None:
    """The tokenizer's files, with the chat template that training spoke."""
    for name in TOKENIZER_FILES:
        if not (source / name).exists():
            continue
        if name in PRIVATE:
            found = {**_without(name, read_json(source / name)), "chat_template": facts.chat_template}
            write_json(folder / name, found)
        else:
            shutil.copyfile(source / name, folder / name)
    write_text(folder / "chat_template.jinja", facts.chat_template)


def _put_modelfile(folder: Path, facts: Facts, source: str) -> None:
    write_text(folder / "Modelfile", usage.modelfile(facts, source))


def _put_app(folder: Path, facts: Facts) -> None:
    """The demo app's own files with what starts it, its settings, and every word it says."""
    for file in sorted(DEMO.iterdir()):
        if file.is_file():  # with its mode: what is double-clicked has to be executable
            shutil.copy(file, folder / file.name)
    shutil.copytree(DEMO / SETTINGS, folder / SETTINGS)
    for file in (LOOPS, NEAREST):
        shutil.copy(file, folder / file.name)
    write_json(folder / TAUGHT, asdict(facts.taught))
    words = {
        language: {key.removeprefix("demo."): sentences(language)[key] for key in APP_WORDS}
        for language in card.LANGUAGES
    }
    for language in card.LANGUAGES:
        words[language]["wrong"] = wrong_facts(facts.score, language)
        words[language]["title"] = facts.title(language)
    settings: dict[str, object] = {"model": MODEL, "system": facts.recipe.system, "words": words}
    settings |= {"examples": facts.examples}
    settings |= {"asks_back": facts.score is None or not facts.score.holds_in_other_words}
    settings |= {"language": card.languages(facts)[0], "start": starters.words()}
    write_json(folder / "settings.json", settings)
    pins = [f"{name}=={version(name).partition('+')[0]}" for name in APP_PACKAGES]
    write_text(folder / "requirements.txt", "\n".join([*pins, ""]))
    starters.put_guide(folder, facts, "app", starters.memory_to_chat(folder / MODEL))


def put_about(folder: Path, facts: Facts) -> None:
    """Recipe, versions, numbers of the proof and the base model's own licence: what makes it traceable."""
    recipe = facts.recipe.changed(model=facts.base.id or facts.base.name, data="rows.jsonl")
    write_text(folder / "recipe.yaml", to_yaml(recipe, "en"))
    about = {
        "run": facts.run,
        "versions": dict(facts.versions),
        "data": dict(facts.data),
        "proof": {**score_as_json(facts.score), "asked": dict(facts.asked)} if facts.score else None,
    }
    write_json(folder / MARK, about)
    for file in (*Path(facts.recipe.model).glob("LICEN[CS]E*"), *Path(facts.recipe.model).glob("NOTICE*")):
        if file.is_file():
            shutil.copyfile(file, folder / file.name)


def _end_tokens(folder: Path, facts: Facts, known: object) -> list[int]:
    """The ids that end an answer: the model's own, and the template's as far as each is one token."""
    reader = read_tokenizer(folder / "tokenizer.json")
    words = (facts.template.suffix, *facts.template.stop_words)
    found = [reader.token_to_id(word) for word in words if word]
    own = known if isinstance(known, list) else [known]
    return list(dict.fromkeys(i for i in (*own, *found) if isinstance(i, int)))


def _without(name: str, found: Any) -> dict[str, Any]:
    private = PRIVATE.get(name, ())
    return {key: value for key, value in (found or {}).items() if key not in private}


def link(source: Path, target: Path) -> None:
    """A hard link, or a copy where the disk has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
