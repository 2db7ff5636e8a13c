"""Questions and answers that a model made of documents, and what a person decided about each.

Drafts are kept as they came, one passage a line, so that a run which broke off goes on where it was; none
becomes a row of the data set before somebody accepted it.
"""

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any, Literal

from core.data.conversations import Conversation, one_turn
from core.data.documents.files import Passage
from core.data.identity import IdentityLanguage
from core.data.sets import SetPaths
from core.workspace.files import change_record, locked, read_json
from core.workspace.paths import BANKS

State = Literal["new", "accepted", "dropped"]
CHINESE_SHARE = 0.2
# "Q:", "**问题 2：**", "Answer 1 -": how models mark a question and an answer when asked for lines of them.
MARK = re.compile(
    r"^[\s*#>\-\d.)]*(?P<kind>Q|Question|A|Answer|问题?|答案?|回答)\s*\d*[\s*]*[:：][\s*]*", re.IGNORECASE
)


@dataclass(frozen=True)
class Draft:
    """A question and its answer, the passage they are from, who was asked, and what became of them."""

    id: str
    question: str
    answer: str
    passage: Passage
    asked: str
    state: State = "new"

    @property
    def conversation(self) -> Conversation:
        return one_turn(self.question, self.answer)


@cache
def _prompts() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(
        (BANKS / "document_questions.json").read_text(encoding="utf-8")
    )
    return found


def language_of(text: str) -> IdentityLanguage:
    """Chinese when a fifth of the letters are Chinese characters."""
    letters = [character for character in text if character.isalpha()]
    chinese = sum("\u4e00" <= character <= "\u9fff" for character in letters)
    return "zh" if letters and chinese / len(letters) >= CHINESE_SHARE else "en"


def ask_prompt(passage: Passage, count: int, language: IdentityLanguage) -> str:
    """What a model is told so that it writes questions and answers."""
    prompt = _prompts()[language]["ask"].replace("{count}", str(count))
    return prompt.replace("{text}", passage.text)


def question_prompt(passage: Passage, language: IdentityLanguage) -> str:
    """What a model is told that understood nothing else."""
    return _prompts()[language]["question"].replace("{text}", passage.text)


def answer_prompt(passage: Passage, question: str, language: IdentityLanguage) -> str:
    """What a model is told that wrote a question only."""
    prompt = _prompts()[language]["answer"].replace("{question}", question)
    return prompt.replace("{text}", passage.text)


def pairs_in(reply: str) -> list[tuple[str, str]]:
    """The questions and answers in what a model wrote; a question that no answer follows has an empty one."""
    found: list[list[str]] = []
    answering = False
    for line in reply.splitlines():
        if match := MARK.match(line):
            answering = match["kind"][0].upper() in {"A", "答", "回"}
            text = line[match.end() :].strip()
            if not answering:
                found.append([text, ""])
            elif found:
                found[-1][1] = text
        elif found and answering and line.strip() and not line.strip().startswith("```"):
            found[-1][1] = f"{found[-1][1]}\n{line.strip()}".strip()
    return [(question.strip("* "), answer) for question, answer in found if question.strip("* ")]


def lone_question(reply: str) -> str:
    """The first question in a text without marks, as small models write it; empty when there is none."""
    match = re.search(r"[^.?？。！!\n]{4,200}[?？]", reply)
    return match.group().strip(' -*"“') if match else ""


def done(place: SetPaths, asked: str) -> set[str]:
    """The passages that ``asked`` has made drafts of."""
    return {line["passage_id"] for line in _lines(place) if line["asked"] == asked}


def unusable(place: SetPaths, asked: str, passages: Collection[str]) -> str:
    """What ``asked`` wrote last about these passages, by their ids, where nothing could be made of any of it;
    empty where something could."""
    lines = [line for line in _lines(place) if line["asked"] == asked and line["passage_id"] in passages]
    if any(line["pairs"] for line in lines):
        return ""
    return next((line.get("said", "") for line in reversed(lines)), "")


def keep(
    place: SetPaths, passage: Passage, asked: str, pairs: Sequence[tuple[str, str]], said: str = ""
) -> None:
    """Append what a passage gave, also when that is nothing, then with what was ``said`` instead: it is not
    asked again. Raises OSError."""
    line = {
        "passage_id": passage.id,
        "passage": asdict(passage),
        "asked": asked,
        "pairs": [*map(list, pairs)],
        "said": "" if pairs else said,
    }
    with locked(place.drafts), place.drafts.open("ab+") as stream:
        # A line that broke off half-way must not swallow the next one.
        if stream.tell() and not _ends_a_line(stream):
            stream.write(b"\n")
        stream.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def read_drafts(place: SetPaths) -> list[Draft]:
    """Every draft in the order it came, each with what was decided."""
    decided: Mapping[str, Any] = read_json(place.review) or {}
    found: dict[str, Draft] = {}
    for line in _lines(place):
        passage = Passage(**line["passage"])
        for question, answer in line["pairs"]:
            draft = Draft(_id(passage, question, answer), question, answer, passage, line["asked"])
            found.setdefault(draft.id, replace(draft, **decided.get(draft.id, {})))
    return list(found.values())


def decide(place: SetPaths, decisions: Sequence[Draft]) -> None:
    """Keep state and wording of these drafts; what others decided about other drafts stays.

    Raises DamagedFile, OSError.
    """
    change_record(place.review, lambda known: known | _said(decisions))


def accept_new(place: SetPaths) -> None:
    """Accept every draft about which nobody has decided, not even while this looks. Raises as decide does."""
    new = [replace(draft, state="accepted") for draft in read_drafts(place) if draft.state == "new"]
    change_record(place.review, lambda known: _said(new) | known)


def _said(decisions: Sequence[Draft]) -> dict[str, Any]:
    return {
        draft.id: {"question": draft.question.strip(), "answer": draft.answer.strip(), "state": draft.state}
        for draft in decisions
    }


def accepted(drafts: Sequence[Draft]) -> list[Conversation]:
    """The conversations of those that were accepted and say something."""
    return [d.conversation for d in drafts if d.state == "accepted" and d.question and d.answer]


def _id(passage: Passage, question: str, answer: str) -> str:
    return hashlib.sha256(f"{passage.id}\0{question}\0{answer}".encode()).hexdigest()[:16]


def _lines(place: SetPaths) -> Iterator[dict[str, Any]]:
    """The lines that are whole: a process that was killed may have left half of one."""
    try:
        text = place.drafts.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    for line in text.split("\n"):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        yield found


def _ends_a_line(stream: Any) -> bool:
    stream.seek(-1, os.SEEK_END)
    return bool(stream.read(1) == b"\n")
