"""Whether a chat template lets its model think before it answers, and how a person says so.

Nothing declares this: a template names a variable, most often ``enable_thinking``, and writes another text
where it is true. Both are looked at, the names in the template's program and what it then writes.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import overload

from core.recipe.chat_template import names_of
from core.recipe.jinja import RENDERING
from core.recipe.own_template import OwnTemplate, Unspeakable, with_options
from core.recipe.templates import Template
from core.recipe.thoughts import left_open

# Most models; DeepSeek V3.1, Granite, Kimi; MiniMind.
SWITCHES = ("enable_thinking", "thinking", "open_thinking")
# A template that names this writes or drops thoughts, though nobody can switch them off (gpt-oss).
_ALWAYS = ("<|channel|>analysis",)
_ASKED = ({"role": "user", "content": "Xaskedx"},)


@dataclass(frozen=True)
class Thinking:
    """``switch``: the template's variable, empty where there is none. ``thinks``: whether the model thinks
    before it answers when nobody says anything."""

    switch: str = ""
    thinks: bool = False

    @property
    def modes(self) -> tuple[bool | None, ...]:
        """The ways to ask: at once and thinking first, or the only one there is."""
        return (False, True) if self.switch else (None,)

    def options(self, think: bool | None) -> dict[str, bool]:
        """What a server's ``chat_template_kwargs`` say; None leaves it to the template."""
        return {self.switch: think} if self.switch and think is not None else {}

    def may_think(self, think: bool | None) -> bool:
        """Whether a thought is to be expected when asked that way."""
        return self.thinks if think is None or not self.switch else think


ONE_WAY = Thinking()


def thinking_of(template: Template) -> Thinking:
    """Of a training's template; XTuner's named ones know nothing of thoughts."""
    return _of(template) if isinstance(template, OwnTemplate) else ONE_WAY


@overload
def in_mode(template: OwnTemplate, think: bool | None) -> OwnTemplate: ...
@overload
def in_mode(template: Template, think: bool | None) -> Template: ...
def in_mode(template: Template, think: bool | None) -> Template:
    """The template as it writes when the model is to think first, or to answer at once; the same where nobody
    says which or it cannot be said."""
    return _in_mode(template, think) if isinstance(template, OwnTemplate) else template


@lru_cache(maxsize=64)
def _in_mode(template: OwnTemplate, think: bool | None) -> OwnTemplate:
    options = thinking_of(template).options(think)
    return with_options(template, **options) if options else template


@lru_cache(maxsize=64)
def _of(own: OwnTemplate) -> Thinking:
    named = _named(own.source)
    given = dict(own.options)
    for switch in SWITCHES:
        if switch in named and switch not in given:
            on, off = (
                _prompt(replace(own, options=(*own.options, (switch, mode)))) for mode in (True, False)
            )
            if on != off and on and off:
                return Thinking(switch, thinks=_prompt(own) == on)
    return Thinking(thinks=bool(left_open(_prompt(own))) or any(mark in own.source for mark in _ALWAYS))


def _named(source: str) -> list[str]:
    try:
        return names_of(source)
    except RENDERING:
        return []


def _prompt(own: OwnTemplate) -> str:
    try:
        return own.render(_ASKED)
    except Unspeakable:
        return ""
