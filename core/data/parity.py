"""Whether the training writes what the chat server will write, token by token.

XTuner encodes a conversation text by text (prompt, answer, separator) and joins the ids; a server renders the
chat template of the model's folder and encodes the whole. The two can differ in their text (another template,
a system prompt put in, a first token), or only in the tokens where texts meet. Llama 2's tokenizer puts a
space before every text it is given: before each answer in training, and none on the server. InternLM's joins
":" and "I" to one token on the server and not in training, which no template can help; a single question is
the same all the same.

Where the model has no chat template of its own, or its own writes something else, the training's is written
into what is published, with those spaces in it: :func:`parity` proves it before it is used.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

from core.data.conversations import Conversation, Turn
from core.data.encoder import Encoder
from core.data.own_encoder import encoder_of
from core.models.folder import Model
from core.recipe.chat_template import (
    Joints,
    own_template,
    render,
    special_tokens,
    tokenizer_class,
    training_template,
)
from core.recipe.jinja import RENDERING
from core.recipe.own_template import OwnTemplate, spoken_by, template_files, template_of, unspeakable
from core.recipe.recipe import Problem, Recipe
from core.recipe.templates import Template
from core.workspace.files import Stamp, stamp

# Text before a difference that is shown with it.
SHOWN_BEFORE = 60
# Of both texts in a sentence.
SHOWN_TEXT = 120
_TURNS = (
    Turn("Who are you?", "I am 小明's assistant."),
    Turn("你会做什么？\nList 3 things.", "1. {x}\n2. 翻译\n3. …"),
    Turn("Thanks", "Bye."),
)
_SYSTEM = Turn("Who are you?", "I am 小明's assistant.", "Be brief. 用中文回答。")
CASES: Mapping[str, Conversation] = {
    "single": _TURNS[:1],
    "turns": _TURNS,
    "system": (_SYSTEM, *_TURNS[1:]),
}


@dataclass(frozen=True)
class TokenDifference:
    """The first token that differs in one case: its place from 0, and what both have there.

    A side that has ended has an empty text and no id. ``before`` is the text both share up to there.
    """

    case: str
    place: int
    before: str
    trained: str
    trained_id: int | None
    served: str
    served_id: int | None
    trained_text: str
    served_text: str


@dataclass(frozen=True)
class Case:
    """One conversation: tokens of its training prompt, and whether text and tokens are the server's."""

    case: str
    tokens: int
    text_same: bool
    same: bool


@dataclass(frozen=True)
class Parity:
    """``own``: the model has a chat template; ``publish``: the Jinja that is written into what is made of
    it, None where its own stays. ``published_same``: what is published writes the training's tokens."""

    own: bool
    cases: tuple[Case, ...]
    difference: TokenDifference | None
    publish: str | None
    published_same: bool

    @property
    def same(self) -> bool:
        """Token by token, in every case."""
        return all(case.same for case in self.cases)

    def text_same(self, system: bool = True) -> bool:
        """Whether the texts agree; without ``system`` the case with a system prompt does not count."""
        return all(case.text_same for case in self.cases if system or case.case != "system")

    def as_json(self) -> dict[str, Any]:
        return {
            "own_template": self.own,
            "same": self.same,
            "text_same": self.text_same(),
            "cases": [asdict(case) for case in self.cases],
            "difference": asdict(self.difference) if self.difference else None,
            "published": "training" if self.publish is not None else "own",
            "published_same": self.published_same,
        }


def parity(folder: Path, template: Template) -> Parity:
    """Compare a model's own chat template, or the training's where it has none, with the training.

    Raises NotAModel for a tokenizer that cannot be read.
    """
    return _parity(folder, template, stamp(*template_files(folder)))


def problems(recipe: Recipe, model: Model, system: bool = False) -> list[Problem]:
    """What keeps a settled recipe from being launched: the model's own chat template writes another text than
    the training, and nobody said why that is meant.

    Conversations with a system prompt count when the recipe has one, or ``system``. Raises NotAModel.
    """
    if recipe.template_reason.strip():
        return []
    found = parity(model.folder, template_of(recipe.template, model.folder))
    if found.difference is None or found.text_same(system or bool(recipe.system)):
        return []
    speaks = spoken_by(model)
    if recipe.template == speaks and (detail := unspeakable(model.folder)):
        values: dict[str, object] = {"template": speaks, "detail": detail}
        return [Problem("template", "template_not_followed", values)]
    values = {
        "template": recipe.template,
        "speaks": speaks,
        "trained": found.difference.trained_text[:SHOWN_TEXT].replace("\n", "↵"),
        "own": found.difference.served_text[:SHOWN_TEXT].replace("\n", "↵"),
    }
    return [Problem("template", "template_differs", values)]


def speaking_template(folder: Path, template: Template) -> str:
    """The training's template as Jinja that a server's tokens come out right with. Raises NotAModel."""
    if isinstance(template, OwnTemplate):
        return template.source
    return _proven(folder, encoder_of(folder / "tokenizer.json", template), template)


@lru_cache(maxsize=16)
def _parity(folder: Path, template: Template, _stamp: Stamp) -> Parity:
    encoder, tokens = encoder_of(folder / "tokenizer.json", template), special_tokens(folder)
    own = own_template(folder)
    if isinstance(template, OwnTemplate):
        cases = tuple(_compare(encoder, template.source, tokens, case)[0] for case in CASES)
        publish = None if template.source == own else template.source
        return Parity(True, cases, None, publish, all(case.same for case in cases))
    written = _proven(folder, encoder, template)
    proven = _same(encoder, written, tokens)
    compared = [_compare(encoder, own if own is not None else written, tokens, case) for case in CASES]
    cases = tuple(case for case, _ in compared)
    difference = next((found for _, found in compared if found), None)
    # The model's own stays where it is right, and where no other could be more right.
    stays = own is not None and (difference is None or (not proven and all(case.text_same for case in cases)))
    same = difference is None if stays else proven
    return Parity(own is not None, cases, difference, None if stays else written, same)


def _proven(folder: Path, encoder: Encoder, template: Template) -> str:
    """The training's template with the joints that give its tokens; the plain one where none does."""
    tokens, kind = special_tokens(folder), tokenizer_class(folder)
    gaps = (Joints(*gap) for gap in product(("", " "), repeat=3))
    candidates = [training_template(template, kind, joints) for joints in gaps]
    return next((c for c in candidates if _same(encoder, c, tokens)), candidates[0])


def _same(encoder: Encoder, source: str, tokens: Mapping[str, str]) -> bool:
    return all(_compare(encoder, source, tokens, case)[0].same for case in CASES)


def _compare(
    encoder: Encoder, source: str, tokens: Mapping[str, str], name: str
) -> tuple[Case, TokenDifference | None]:
    conversation = CASES[name]
    trained = encoder.prompt_ids(conversation)
    text = encoder.prompt_text(conversation)
    try:
        served_text = render(source, list(_messages(conversation)), tokens)
    except RENDERING as error:
        served_text = f"{type(error).__name__}: {error}"
    served = encoder.tokenizer.encode(served_text, add_special_tokens=False).ids
    same = trained == served
    case = Case(name, len(trained), same or text == served_text, same)
    return case, None if case.same else _first_difference(encoder, name, trained, served, text, served_text)


def _messages(conversation: Conversation) -> Iterator[Mapping[str, str]]:
    """What a client sends to get the last turn's answer."""
    for number, turn in enumerate(conversation):
        if turn.system:
            yield {"role": "system", "content": turn.system}
        yield {"role": "user", "content": turn.input}
        if number < len(conversation) - 1:
            yield {"role": "assistant", "content": turn.output}


def _first_difference(
    encoder: Encoder, case: str, trained: list[int], served: list[int], text: str, served_text: str
) -> TokenDifference:
    shared = min(len(trained), len(served))
    place = next((n for n in range(shared) if trained[n] != served[n]), shared)
    before = encoder.tokenizer.decode(trained[:place], skip_special_tokens=False)
    return TokenDifference(
        case,
        place,
        before[-SHOWN_BEFORE:],
        *_token(encoder, trained, place),
        *_token(encoder, served, place),
        text,
        served_text,
    )


def _token(encoder: Encoder, ids: list[int], place: int) -> tuple[str, int | None]:
    if place >= len(ids):
        return "", None
    return str(encoder.tokenizer.id_to_token(ids[place])), ids[place]
