"""What must not stand inside a text: control characters, lost characters, a template's own tokens."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from core.data.checking.private import personal, suspicious
from core.data.formats.fields import Fault
from core.data.formats.messages import Text
from core.recipe.templates import Template

# Line breaks and tabs are text. U+0085 is a line break too; the marks of text direction steer what is shown.
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb]")
LOST = "\ufffd"
SHOWN_MARKS = 5


@dataclass(frozen=True)
class TemplateTokens:
    """The strings that a tokenizer or a template takes for more than text, wherever a text holds them."""

    strings: tuple[str, ...]

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self.strings, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    @cached_property
    def beginnings(self) -> tuple[str, ...]:
        """Their first two characters: a text without any of these holds none of them."""
        return tuple(sorted({string[:2] for string in self.strings}))

    def within(self, text: str) -> list[str]:
        """Those that ``text`` holds, each once."""
        if not any(beginning in text for beginning in self.beginnings):
            return []
        return list(dict.fromkeys(self.pattern.findall(text)))


def template_tokens(tokenizer_file: Path, template: Template) -> TemplateTokens:
    """The special tokens of a model's ``tokenizer.json`` and the marks of the prompt template."""
    try:
        added = json.loads(tokenizer_file.read_text(encoding="utf-8")).get("added_tokens") or []
    except (OSError, ValueError, AttributeError):
        added = []
    special = [
        one["content"] for one in added if isinstance(one, dict) and one.get("special") and one.get("content")
    ]
    marks = "".join((template.instruction, template.system, template.suffix)).replace("{input}", " ")
    own = re.findall(r"<\|[^|<>\s]*\|>|<[/\w]+>|\[/?[A-Z_]+\]", marks)
    # A special token of one letter, or of spaces, would be found in every text.
    return TemplateTokens(tuple(sorted({one for one in (*special, *own) if len(one) > 2 and one.strip()})))


def marks_in(text: Text, tokens: TemplateTokens) -> Iterator[Fault]:
    """What stands in one text and should not."""
    said, place = text.text, text.field
    if found := CONTROL.findall(said):
        codes = [f"U+{ord(character):04X}" for character in dict.fromkeys(found)]
        yield Fault(
            place, "control_character", {"count": len(found), "found": ", ".join(codes[:SHOWN_MARKS])}
        )
    if LOST in said:
        yield Fault(place, "replacement_character", {"count": said.count(LOST)})
    if strings := tokens.within(said):
        yield Fault(place, "template_token", {"found": " ".join(strings[:SHOWN_MARKS])})
    if suspicious(said) and (private := personal(said)):
        kinds = list(dict.fromkeys(one.kind for one in private))
        yield Fault(place, "personal_data", {"count": len(private), "kinds": kinds})


def is_clean(texts: Sequence[str], tokens: TemplateTokens) -> bool:
    """Whether none of these texts needs a closer look: a few searches through all of them at once."""
    joined = "\n".join(texts)
    return not (
        LOST in joined
        or CONTROL.search(joined)
        or any(beginning in joined for beginning in tokens.beginnings)
        or suspicious(joined)
    )
