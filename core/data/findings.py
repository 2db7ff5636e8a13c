"""What can be wrong with a row: a code for each, whether the row can still be trained, how it is mended."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.data.complaints import complaint
from core.wording import Language, say


@dataclass(frozen=True)
class Kind:
    """``usable``: a row with only such findings is trained. ``fix``: by its name in ``core.data.fixes``;
    ``also``: other fixes that may be chosen instead. ``left_out``: what the value ``found`` names is not
    trained. ``harms``: a row with it is trained, but teaches what nobody wants; everything at once fixes it
    too."""

    usable: bool
    fix: str | None = None
    also: tuple[str, ...] = ()
    left_out: bool = False
    harms: bool = False

    @property
    def advised(self) -> str | None:
        """The fix that everything at once is fixed by; None where a person has to look first."""
        return self.fix if self.harms or not self.usable else None

    @property
    def fixes(self) -> tuple[str, ...]:
        """All of them, the one that is offered first before the others; a row that cannot be trained can
        always be left out."""
        last = () if self.usable else ("drop",)
        return tuple(dict.fromkeys((self.fix, *self.also, *last))) if self.fix else ()


BROKEN, SHOWN = False, True
KINDS: dict[str, Kind] = {
    # the file's text
    "broken_json": Kind(BROKEN, "drop"),
    "broken_table_row": Kind(BROKEN),
    "stray_text": Kind(SHOWN),
    "not_utf8": Kind(BROKEN, "drop"),
    "too_large": Kind(BROKEN, "drop"),
    "cut_off": Kind(SHOWN),
    # a row's shape
    "not_an_object": Kind(BROKEN, "drop"),
    "unknown_format": Kind(BROKEN, "drop"),
    "no_messages": Kind(BROKEN, "drop"),
    "wrong_type": Kind(BROKEN, "as_text"),
    "unknown_role": Kind(BROKEN, "drop"),
    "not_text_part": Kind(BROKEN, "drop", left_out=True),
    "broken_character": Kind(BROKEN, "remove_characters"),
    # a conversation's order
    "empty_answer": Kind(BROKEN, "drop_unanswered"),
    "null_text": Kind(SHOWN, "drop", harms=True),
    "missing_answer": Kind(BROKEN, "drop_unanswered"),
    "role_order": Kind(BROKEN, "drop"),
    "joined": Kind(SHOWN),
    "answer_skipped": Kind(SHOWN, left_out=True),
    "unanswered": Kind(SHOWN, left_out=True),
    "tool_role": Kind(SHOWN),
    # what asks not to be learned, and what is left out
    "bad_answer": Kind(BROKEN, "drop", left_out=True),
    "not_text": Kind(BROKEN, "drop", left_out=True),
    "nothing_trained": Kind(BROKEN, "drop"),
    "partly_masked": Kind(BROKEN, "drop"),
    "weight_rounded": Kind(SHOWN),
    "rejected_left_out": Kind(SHOWN, left_out=True),
    "other_answers_left_out": Kind(SHOWN, left_out=True),
    "thinking_left_out": Kind(SHOWN, left_out=True),
    "tools_left_out": Kind(SHOWN, left_out=True),
    "not_a_number": Kind(SHOWN),
    # what the texts say
    "empty_question": Kind(SHOWN, "drop"),
    "control_character": Kind(SHOWN, "remove_characters", harms=True),
    "replacement_character": Kind(SHOWN, "drop"),
    "template_token": Kind(SHOWN, "remove_tokens", harms=True),
    "placeholder": Kind(SHOWN, "fill_in", ("drop",)),
    "personal_data": Kind(SHOWN, "mask"),
    "held_back": Kind(SHOWN, "drop", harms=True),
    "first_person": Kind(SHOWN, "drop"),
    # rows among rows
    "duplicate": Kind(SHOWN, "drop", harms=True),
    "near_duplicate": Kind(SHOWN, "drop"),
    "identity_conflict": Kind(SHOWN, "rename", ("drop",), harms=True),
    "truncated": Kind(SHOWN, "drop"),
}


# Codes that say what stands where something else should, and the names that Python has for it.
OF_A_TYPE = ("wrong_type", "not_an_object")
TYPES = ("NoneType", "bool", "int", "float", "str", "list", "dict")


@dataclass(frozen=True)
class Finding:
    """One thing found in one row. ``row`` counts from 1; ``field`` is the place in the row as it was given
    (``messages[2].content``), empty for the row as a whole; ``values`` fill the code's sentence."""

    row: int
    field: str
    code: str
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def usable(self) -> bool:
        return KINDS[self.code].usable

    def message(self, language: Language | None = None) -> str:
        """The sentence in ``language`` (by default of whoever asked)."""
        spoken = _spoken(self.values, language)
        if self.code in OF_A_TYPE:
            found = str(self.values.get("found"))
            spoken["found"] = say(f"type.{found}", language) if found in TYPES else found
        sentence = say(f"finding.{self.code}", language, **spoken)
        if "table" not in self.values:
            return sentence
        key = "row.in_table_row" if "table_row" in self.values else "row.in_table"
        return say(key, language, sentence=sentence, **self.values)

    def as_json(self) -> dict[str, Any]:
        return {"row": self.row, "field": self.field, "code": self.code, "message": self.message()}


def _spoken(values: Mapping[str, Any], language: Language | None) -> dict[str, Any]:
    """Values that are words of a kind, in words."""
    spoken = dict(values)
    if "detail" in values:
        spoken["detail"] = complaint(values["detail"], language)
    if "keys" in values:
        spoken["keys"] = say("row.list", language).join(values["keys"]) or "–"
    if "kinds" in values:
        names = [say(f"private.{kind}", language) for kind in values["kinds"]]
        spoken["kinds"] = say("row.list", language).join(names)
    for name, family in (("role", "role"), ("after", "role"), ("kind", "claim")):
        if name in values:
            spoken[name] = say(f"{family}.{values[name]}", language)
    if "instead" in values:
        spoken["instead"] = say(f"claim.instead.{values['instead']}", language, **values)
    return spoken
