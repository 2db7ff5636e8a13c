"""The chat template in Jinja of a training's prompt template, and a model's own, rendered as a server does.

XTuner trains on the strings of its PROMPT_TEMPLATE; whatever serves the model later reads the Jinja template
in its folder. Nothing else checks that the two agree (``core.data.parity`` does), and a model spoken to in
another template babbles.
"""

import builtins
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from jinja2 import exceptions as jinja2_errors

from core.limited.call import ChildFailed, Limits, OutOfMemory, OutOfTime
from core.limited.kept import KeptChild
from core.models.folder import chat_template_of
from core.recipe import jinja
from core.recipe.jinja import RENDERING
from core.recipe.templates import WITHOUT_FIRST_TOKEN, Template
from core.wording import say
from core.workspace.files import read_record

SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
# Processor time of one text, from when on it counts as slow, and what all slow ones of a template may take
# together; seconds. One that never ended counts as so many.
LIMITS, SLOW, PATIENCE, ENDLESS = Limits(1.0), 0.5, 5.0, 2.0
# A template that wrote so many texts in the child, none slowly, is run here, where no page waits for it.
FIRST = 8
# How many templates are remembered.
MOST_REMEMBERED = 1000
# What the thoughts of an answer are called, newest name first.
REASONING_FIELDS = ("reasoning_content", "thinking", "reasoning")


@dataclass(frozen=True)
class Joints:
    """What stands where two texts meet that the training encodes apart, for a tokenizer that puts a space
    before every text: a space, or nothing."""

    answer: str = ""
    sep: str = ""
    prompt: str = ""


def training_template(template: Template, kind: str, joints: Joints = Joints()) -> str:
    """Jinja that writes a conversation as XTuner trained on it with a tokenizer of the class ``kind``, up to
    where the answer begins.

    A template without a suffix ends each answer with the end token, and begins the next turn with the first
    token again.
    """
    begin = "" if kind in WITHOUT_FIRST_TOKEN else "{{ bos_token or '' }}"
    end = _written(template.suffix) if template.suffix else "{{ eos_token or '' }}"
    sep = _written(joints.sep + template.sep) if template.sep else ""
    again = ("" if template.suffix else begin) + _written(joints.prompt)
    return (
        f"{begin}{{% for message in messages %}}"
        f"{{% if message['role'] == 'system' %}}{_around(template.system, 'system')}"
        f"{{% elif message['role'] == 'user' %}}{_around(template.instruction, 'input')}"
        f"{{% else %}}{_written(joints.answer)}{{{{ message['content'] }}}}{end}{sep}"
        f"{f'{{% if not loop.last %}}{again}{{% endif %}}' if again else ''}"
        "{% endif %}{% endfor %}"
    )


def own_template(folder: Path) -> str | None:
    """The chat template that a model folder carries. Raises NotAModel."""
    return chat_template_of(folder) or None


def tokenizer_settings(folder: Path) -> dict[str, Any]:
    """A model's tokenizer_config.json; empty without one.

    With special_tokens_map.json in it where transformers 5.24.0 reads that: older folders name their special
    tokens there alone.
    """
    found = read_record(folder / "tokenizer_config.json") or {}
    if "added_tokens_decoder" in found:
        return found
    return {**found, **(read_record(folder / "special_tokens_map.json") or {})}


def special_tokens(folder: Path) -> dict[str, str]:
    """The special tokens that a chat template may name, as far as the tokenizer has them."""
    found = tokenizer_settings(folder)
    return {name: token for name in SPECIAL_TOKENS if (token := _token(found.get(name)))}


def render(
    source: str,
    messages: Sequence[Mapping[str, Any]],
    tokens: Mapping[str, str],
    ask: bool = True,
    **options: Any,
) -> str:
    """A conversation as a chat template writes it; when it is to ``ask``, up to where the answer begins.

    As transformers renders it: sandboxed, because the template came with somebody's model, and in a child
    with limits until it is known as harmless. One that took too long is not tried again. ``options`` are
    a template's own, such as enable_thinking. Raises what RENDERING lists.
    """
    given = {"tools": None, "documents": None, **tokens, **options, "add_generation_prompt": ask}
    request = (source, list(map(_plain, messages)), given, datetime.now().isoformat())
    found = jinja.write(*request) if _known.is_harmless(source) else _known.tried(source, _write, *request)
    if "text" in found:
        return str(found["text"])
    raise _fault(found["error"], found["said"])


def names_of(source: str) -> list[str]:
    """The variables that a chat template names and does not set; none where it is no template. Raises
    TemplateError where that cannot be found out."""
    return list(_known.tried(source, _names, source)["names"])


def serve_pages() -> None:
    """From now on no template is run in this process: a page would wait for it, and every other one too."""
    _known.pages = True


class _Known:
    """How templates behaved, by their content: how many texts they wrote, and how long slow ones took."""

    def __init__(self) -> None:
        self.pages = False
        self._texts: dict[str, int] = {}
        self._slow: dict[str, float] = {}

    def is_harmless(self, source: str) -> bool:
        """Whether it may be run in this process."""
        return not self.pages and self._texts.get(source, 0) >= FIRST and source not in self._slow

    def tried(self, source: str, child: KeptChild, *arguments: Any) -> dict[str, Any]:
        """What a child finds of it, unless it took too long before. Raises TemplateError."""
        if self._slow.get(source, 0.0) > PATIENCE:
            raise TemplateError(say("template.endless"))
        try:
            found: dict[str, Any] = child(*arguments)
        except (OutOfTime, OutOfMemory) as error:
            self._count(self._slow, source, math.inf)
            raise TemplateError(say("template.endless")) from error
        except ChildFailed as error:  # that no child can be had is not the template's fault
            raise TemplateError(str(error)) from error
        seconds = ENDLESS if found.get("error") in _ENDLESS else found["seconds"]
        if seconds > SLOW:
            self._count(self._slow, source, seconds)
        self._count(self._texts, source, 1)
        return found

    @staticmethod
    def _count(among: dict[str, Any], source: str, more: float) -> None:
        if source not in among and len(among) >= MOST_REMEMBERED:
            among.pop(next(iter(among)), None)
        among[source] = among.get(source, 0) + more


_known = _Known()
_write, _names = KeptChild(jinja.write, LIMITS), KeptChild(jinja.named, LIMITS)
_ENDLESS = ("Endless", "MemoryError")


def _fault(name: str, said: str) -> Exception:
    """The error that ended a template, as one of RENDERING."""
    if name in _ENDLESS:
        return TemplateError(say("template.endless"))
    kind: Any = getattr(builtins, name, None) or getattr(jinja2_errors, name, None)
    known = isinstance(kind, type) and issubclass(kind, RENDERING) and not issubclass(kind, UnicodeError)
    return kind(said) if known else TemplateError(f"{name}: {said}")


def tokenizer_class(folder: Path) -> str:
    """The class that transformers loads for the tokenizer of the model in ``folder``: the fast one."""
    named = str(tokenizer_settings(folder).get("tokenizer_class", ""))
    return named if named.endswith("Fast") else f"{named}Fast"


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message as transformers hands it to a template: what is null is left out, and thoughts stand under
    the name that newer templates read and under gpt-oss's."""
    found = {key: value for key, value in message.items() if value is not None}
    thoughts = next((found[name] for name in REASONING_FIELDS if name in found), None)
    return found if thoughts is None else {"thinking": thoughts, **found, "reasoning_content": thoughts}


def _around(text: str, field: str) -> str:
    before, _, after = text.partition(f"{{{field}}}")
    return f"{_written(before)}{{{{ message['content'] }}}}{_written(after)}" if text else ""


def _written(text: str) -> str:
    """Text as a Jinja expression: its line breaks survive the trimming of blocks."""
    return f"{{{{ {json.dumps(text)} }}}}" if text else ""


def _token(found: object) -> str:
    """A special token is a string, or an object that holds it."""
    return str(found.get("content", "")) if isinstance(found, dict) else str(found or "")
