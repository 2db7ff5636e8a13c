"""Questions and answers from a person's documents, written by a model here or elsewhere."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from core.chat import server as chat_server
from core.chat.endpoint import Endpoint, ask
from core.chat.reply import ANY_MODEL, BASE_URL
from core.chat.server import Readiness, Speaker
from core.chat.users import ChatUser
from core.data.documents.files import Passage
from core.data.drafts import (
    answer_prompt,
    ask_prompt,
    done,
    keep,
    language_of,
    lone_question,
    pairs_in,
    question_prompt,
    unusable,
)
from core.data.formats.fields import shortened
from core.data.identity import IdentityLanguage
from core.data.sets import SetPaths
from core.errors import ChatFailed, ChatTaken, NothingDrafted
from core.models.folder import Model
from core.recipe.own_template import spoken_by
from core.steps.watch import Update
from core.wording import say
from core.workspace.paths import Workspace

# Tokens that a question with its answer may have, a lone question, a lone answer.
PAIR_TOKENS, QUESTION_TOKENS, ANSWER_TOKENS = 160, 60, 200
POLL = 0.5
# Characters of an answer that nothing could be made of.
QUOTED = 200
# On a processor the first word comes after a minute of reading.
LOCAL_TIMEOUT = 900.0


def make_drafts(
    place: SetPaths,
    passages: Sequence[Passage],
    where: Endpoint,
    asked: str,
    count: int,
    language: IdentityLanguage | None,
    update: Update,
) -> int:
    """Ask for up to ``count`` questions and answers a passage, in its own language unless one is given.

    ``asked`` is what the model is called: passages it has answered before are left out. Every passage is kept
    before the next one is asked. Returns how many drafts are new. Raises EndpointFailed, OSError, and
    NothingDrafted where nothing of all that it wrote, now or before, can be used.
    """
    known = done(place, asked)
    left = [passage for passage in passages if passage.id not in known]
    new = 0
    for number, passage in enumerate(left, 1):
        pairs, said = _ask_about(passage, where, count, language or language_of(passage.text))
        keep(place, passage, asked, pairs, shortened(said, QUOTED) or "…")
        new += len(pairs)
        update(number / len(left), f"{number}/{len(left)}")
    if not new and (said := unusable(place, asked, {passage.id for passage in passages})):
        raise NothingDrafted(model=asked, count=len(passages), said=said)
    return new


def _ask_about(
    passage: Passage, where: Endpoint, count: int, language: IdentityLanguage
) -> tuple[list[tuple[str, str]], str]:
    """Both in one reply; of a small model, which writes neither when asked for both, one after the other. And
    what it said last."""
    reply = ask(where, [_user(ask_prompt(passage, count, language))], count * PAIR_TOKENS)
    pairs = pairs_in(reply)
    whole = [(question, answer) for question, answer in pairs if answer]
    if whole:
        return whole[:count], reply
    question = pairs[0][0] if pairs else lone_question(reply)
    if not question:
        reply = ask(where, [_user(question_prompt(passage, language))], QUESTION_TOKENS)
        question = lone_question(reply)
    if not question:
        return [], reply
    answer = ask(where, [_user(answer_prompt(passage, question, language))], ANSWER_TOKENS)
    return ([(question, answer.strip())] if answer.strip() else []), reply


def _user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


@contextmanager
def local_endpoint(workspace: Workspace, model: Model) -> Iterator[Endpoint]:
    """The workspace's chat server with this model: the one that answers now, or one started for the while.

    Raises ChatTaken where another model is loaded, to which somebody may be talking, ChatFailed when it does
    not come up, and what starting it does.
    """
    running = chat_server.server(workspace)
    if running.lives and not _is_base(running.speaker, model):
        raise ChatTaken(name=running.speaker.name if running.speaker else "?")
    ours, user = not running.lives, ChatUser.of(workspace)
    folder = model.folder
    speaker = Speaker("base", str(folder), None, spoken_by(model), "", None, folder.name)
    if ours:
        chat_server.start(workspace, speaker)
    try:
        address = running.socket if running.readiness is Readiness.ready else _wait(workspace)
        at_once = chat_server.thinking(speaker).options(think=False)
        yield Endpoint(BASE_URL, ANY_MODEL, timeout=LOCAL_TIMEOUT, socket=address, retries=0, options=at_once)
    finally:
        user.leave(by="documents")
        if ours:
            chat_server.unload(workspace, by="documents")


def _is_base(speaker: Speaker | None, model: Model) -> bool:
    return speaker is not None and (speaker.kind, speaker.model) == ("base", str(model.folder))


def _wait(workspace: Workspace) -> str:
    while (found := chat_server.server(workspace)).readiness is Readiness.loading:
        time.sleep(POLL)
    if found.readiness is not Readiness.ready:
        why = found.failure
        raise ChatFailed(reason=f"{why.text()} {why.line}".strip() if why else say("cause.unknown"))
    return found.socket
