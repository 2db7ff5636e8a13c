"""The model card: README.md with metadata for the hubs, in English and in Chinese, the reader's first.

Everything in it is read from the run. Its metadata is what huggingface_hub's own classes accept.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.data.drafts import language_of
from core.data.row_counts import row_counts
from core.proof.telling import told, wrong_facts
from core.publish import usage
from core.publish.facts import Facts
from core.publish.request import What
from core.recipe.method import has_adapter
from core.wording import Language, say, spoken_language

LANGUAGES: tuple[Language, ...] = ("en", "zh")
PICTURE = "loss.png"
LIBRARIES: dict[What, str] = {"adapter": "peft", "merged": "transformers", "gguf": "gguf"}
OF_LORA = ("rank", "alpha", "dropout", "quantization")
COUNTED = ("rows", "taught_rows", "replay_rows", "taught", "replay", "tokens", "sha256")
RECIPE_FIELDS = (
    "method", "rank", "alpha", "dropout", "lr", "schedule", "warmup_ratio", "batch_size",
    "gradient_accumulation_steps", "iterations", "epochs", "max_length", "optimizer",
    "quantization", "precision", "replay_distillation", "seed",
)  # fmt: skip
PORT = 8501


@dataclass(frozen=True)
class CardPage:
    """Where the card will stand: what it describes, under which repository, and with which files."""

    what: What
    repo: str
    files: tuple[str, ...] = ()
    picture: bool = True


def write_card(facts: Facts, page: CardPage) -> str:
    """The whole README.md. Raises ValueError when huggingface_hub refuses the metadata."""
    parts = [body(facts, page, language) for language in languages(facts)]
    return f"---\n{metadata(facts, page)}\n---\n\n" + "\n\n".join(parts) + "\n"


def languages(facts: Facts) -> list[Language]:
    """Both, the one first that whoever gets it most likely reads: Chinese where the assistant's name or its
    system prompt is, else the one of whoever publishes it."""
    own = language_of(facts.name + facts.recipe.system)
    first = "zh" if own == "zh" else spoken_language()
    return sorted(LANGUAGES, key=lambda language: language != first)


def metadata(facts: Facts, page: CardPage) -> str:
    """The YAML block's lines."""
    from huggingface_hub import ModelCardData, SpaceCardData  # 0.3 s

    named: dict[str, Any] = {"license": facts.base.licence or "other", "tags": ["tuneboard", "xtuner"]}
    if page.what == "app":
        space: dict[str, Any] = {
            "sdk": "docker",
            "app_port": PORT,
            "pinned": False,
            "emoji": "💬",
            "title": facts.name,
        }
        # "deployspec" is ModelScope's; OpenXLab starts app.py by itself.
        return str(SpaceCardData(**named, **space, deployspec={"entry_file": "app.py"}).to_yaml()).strip()
    data = ModelCardData(
        **named,
        language=list(LANGUAGES),
        library_name=LIBRARIES[page.what],
        pipeline_tag="text-generation",
        base_model=facts.base.id,
        base_model_relation={"adapter": "adapter", "gguf": "quantized"}.get(page.what, "finetune"),
        model_name=facts.name,
        eval_results=list(_results(facts)) or None,
    )
    return str(data.to_yaml()).strip()


def check_card(text: str) -> str:
    """What is wrong with a card's metadata, in huggingface_hub's words; empty when nothing is."""
    from huggingface_hub import ModelCard

    try:
        found = ModelCard(text).data.to_dict()
    except Exception as error:  # yaml's, and ValueError for metadata that is no mapping
        return str(error) or type(error).__name__
    return "" if found else say("card.wrong.no_metadata")


def body(facts: Facts, page: CardPage, language: Language) -> str:
    """The card's text in one language, Markdown."""
    return "\n\n".join(part for part in _sections(facts, page, language) if part)


def _sections(facts: Facts, page: CardPage, language: Language) -> Iterator[str]:
    def told(key: str, **values: object) -> str:
        return say(f"card.{key}", language, **values)

    base = f"[{facts.base.id}](https://huggingface.co/{facts.base.id})" if facts.base.id else facts.base.name
    first = language == languages(facts)[0]
    yield f"# {plain(facts.name)}" if first else f"## {told('language')}"
    yield told("lead", name=plain(facts.name), base=base)
    if facts.checkpoint and facts.planned and facts.checkpoint < facts.planned:
        yield told("checkpoint", at=facts.checkpoint, total=facts.planned)
    yield told(f"what.{page.what}" if page.what != "merged" or has_adapter(facts.recipe) else "what.full")
    if page.what == "app":
        yield told("as_taught")
    yield _heading(told("licence")) + told(
        f"licence.{facts.base.allows}", licence=facts.base.licence or "?", base=base
    )
    yield _heading(told("proof")) + _proof(facts, language)
    yield _heading(told("data")) + _data(facts, language)
    yield _heading(told("recipe")) + _table(_recipe(facts)) + "\n\n" + told("recipe.file")
    yield _losses(facts, page, language)
    yield (
        _heading(told("template"))
        + told("template.what", template=facts.recipe.template)
        + _system(facts, language)
        + _code(facts.example, "text")
    )
    yield _heading(told("use")) + "\n\n".join(
        f"**{title}**{_code(code, kind)}" for title, kind, code in usage.examples(facts, page.what, page.repo)
    )
    wrong = wrong_facts(facts.score, language)
    yield _heading(told("limits")) + "\n\n".join(filter(None, (wrong, told("limits.what", base=base))))
    yield _heading(told("made")) + _table(facts.versions.items())


def _results(facts: Facts) -> Iterator[Any]:
    from huggingface_hub import EvalResult

    for name in ("learned", "kept"):
        value = getattr(facts.score, name).value if facts.score else None
        if value is not None:
            yield EvalResult(
                task_type="text-generation",
                dataset_type="tuneboard-proof",
                dataset_name="Tuneboard's proof",
                metric_type=name,
                metric_value=value,
            )


def _proof(facts: Facts, language: Language) -> str:
    if facts.score is None:
        named = {name: say(f"page.compare.{name}", language) for name in ("title", "prove")}
        return say("card.proof.none", language, page=named["title"], button=named["prove"])
    rows = [(say(f"card.proof.{name}", language), text) for name, text in told(facts.score, language)]
    return _table(rows) + "\n" + say("card.proof.interval", language)


def _data(facts: Facts, language: Language) -> str:
    known = {name: facts.data.get(name, "–") for name in COUNTED}
    if {"rows", "taught", "replay"} <= facts.data.keys():
        known |= row_counts(facts.data)
    counts = say("card.data.counts", language, **known)
    if left_out := facts.data.get("left_out"):
        counts += " " + say("card.data.left_out", language, count=left_out)
    return counts


def _recipe(facts: Facts) -> Iterator[tuple[str, str]]:
    for name in RECIPE_FIELDS:
        value = getattr(facts.recipe, name)
        if value is not None and (has_adapter(facts.recipe) or name not in OF_LORA):
            yield f"`{name}`", str(value)
    modules, layers = facts.recipe.target_modules, facts.recipe.layers_to_transform
    if modules:
        yield "`target_modules`", ", ".join(modules)
    if layers:
        yield "`layers_to_transform`", f"{layers[0]}–{layers[-1]}"


def _losses(facts: Facts, page: CardPage, language: Language) -> str:
    if facts.losses is None:
        return ""
    first, last = (f"{loss:.3f}" for loss in facts.losses)
    text = say("card.loss", language, first=first, last=last, iterations=facts.iterations)
    picture = f"\n\n![{say('card.loss.alt', language)}]({PICTURE})" if page.picture else ""
    return text + picture


def _system(facts: Facts, language: Language) -> str:
    if not facts.recipe.system:
        return " " + say("card.template.no_system", language)
    return " " + say("card.template.system", language) + _code(facts.recipe.system, "text")


def _table(rows: Any) -> str:
    lines = [f"| {name} | {value} |" for name, value in rows]
    return "\n".join(["| | |", "| --- | --- |", *lines])


def _code(text: str, kind: str) -> str:
    """A fence longer than any run of backticks in the text, so that nothing in it ends the block."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"\n\n{fence}{kind}\n{text.rstrip()}\n{fence}"


def _heading(text: str) -> str:
    return f"### {text}\n\n"


def plain(text: str) -> str:
    """A person's words as Markdown shows them literally."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~-])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;"))
