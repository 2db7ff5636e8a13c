"""What a model is sent to be asked: one question, or the last of a conversation, as the chat server sends it.

The chat server renders the training's template whole (``core.data.parity.speaking_template``), with the
thoughts of earlier answers left out as ``core.chat.reply`` leaves them out.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from core.data.parity import speaking_template
from core.recipe.chat_template import render, special_tokens
from core.recipe.own_template import OwnTemplate, Unspeakable
from core.recipe.templates import Template
from core.recipe.thinking import in_mode
from core.recipe.thoughts import split

Turns = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class PromptAndAnswer:
    """An answer as training writes it after its ``prompt``. ``apart``: it is encoded by itself, as XTuner
    encodes; ``end``: the tokenizer's end token follows, where the template has none of its own."""

    prompt: str
    answer: str
    apart: bool
    end: bool


@dataclass(frozen=True)
class Prompter:
    """The model in ``folder`` spoken to with the training's ``template``; ``first`` is the token that
    training puts before every text of one of XTuner's templates."""

    folder: Path
    template: Template
    first: str = ""

    def prompt(self, question: str, system: str = "", thinks: bool | None = None, earlier: Turns = ()) -> str:
        """The text that the model continues with its answer; ``earlier``: questions and the answers they got,
        oldest first. Raises Unspeakable, NotAModel."""
        template = in_mode(self.template, thinks)
        if not earlier:
            return template.asked(question, system, self.first)
        messages = self.messages(question, system, earlier)
        if isinstance(template, OwnTemplate):
            return template.render(messages)
        return render(self._spoken, messages, self._tokens)

    def written(
        self,
        question: str,
        answer: str,
        finished: bool = True,
        system: str = "",
        thinks: bool | None = None,
        earlier: Turns = (),
    ) -> PromptAndAnswer:
        """An answer as it would be trained: what the model reads before it, and what it is to write, with the
        token that ends it if it was ``finished``. Raises Unspeakable, NotAModel."""
        template = in_mode(self.template, thinks)
        prompt = self.prompt(question, system, thinks, earlier)
        text = answer + template.suffix
        own = isinstance(template, OwnTemplate)
        if isinstance(template, OwnTemplate):
            with suppress(Unspeakable):  # of what no template writes: as it stands
                prompt, text = template.answer(self.messages(question, system, earlier), answer)
        if not finished and template.suffix:
            text = text[: text.rindex(template.suffix)].rstrip() if answer else ""
        return PromptAndAnswer(prompt, text, apart=not own, end=finished and not template.suffix)

    def messages(self, question: str, system: str = "", earlier: Turns = ()) -> list[Mapping[str, Any]]:
        """A conversation as a client sends it."""
        found: list[Mapping[str, Any]] = [{"role": "system", "content": system}] if system else []
        for asked, answer in earlier:
            found.append({"role": "user", "content": asked})
            found.append({"role": "assistant", "content": split(answer).answer})
        return [*found, {"role": "user", "content": question}]

    @cached_property
    def _spoken(self) -> str:
        return speaking_template(self.folder, self.template)

    @cached_property
    def _tokens(self) -> dict[str, str]:
        return special_tokens(self.folder)
