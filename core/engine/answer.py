"""Ask a model many questions at once: greedy, in batches of similar length, with the training's template.

The request is a JSON file ``{"model", "template", "system", "precision", "questions": [{"question",
"tokens", "system", "thinks", "earlier"}]}``; a question without a system prompt has the request's, ``thinks``
asks a model that can do both to think first or to answer at once, and ``earlier`` are messages before the
question, which the model answers itself first. The answers go to another, ``[{"question", "answer",
"finished", "earlier"}]`` in the same order, each with the thought before it; ``earlier`` are the model's
answers to those messages. ``finished`` is false when the token limit cut the answer off. Of the questions
whose numbers stand in ``"replayed"``, what else the model would have said goes to the file ``"teacher"``
(:mod:`core.data.teacher`).

It may also hold ``"texts": [{"question", "system", "thinks", "earlier", "said", "answer", "finished"}]``,
answers that are given (``said``: those to the messages before the question). How likely the model finds each
goes to a third file, ``[{"tokens", "nats"}]``.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from core.data.asking import Prompter
from core.data.teacher import write_teacher
from core.engine.decode import write_all
from core.engine.likelihood import score_all
from core.engine.teacher_rows import told
from core.engine.tokenizer_file import load_tokenizer
from core.jobs import progress
from core.jobs.progress import Phase
from core.models.fitted import fitted_in
from core.proof.asking import READ
from core.recipe.own_template import template_of
from core.recipe.templates import WITHOUT_FIRST_TOKEN, Template
from core.recipe.thoughts import left_open, special_marks
from core.workspace.files import write_json

# How long writing takes, where reading a given answer takes READ: a step that writes one token of each of
# some answers, and each of these tokens (two cores; the proofs recorded in tests/recorded/time_left). The few
# questions that are asked one after the other take a third of a proof.
A_STEP, A_TOKEN = 18.0, 0.4
# Seconds between two lines about how far it is.
SAID_EVERY = 1.0
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class Talk:
    """A conversation under way: its messages, the last of them the question, and what was answered so far."""

    messages: tuple[str, ...]
    system: str
    thinks: bool | None
    limit: int
    said: list[str]
    finished: bool = False

    @property
    def place(self) -> int:
        """Which message is to be answered next."""
        return len(self.said)

    def prompt(self, prompter: Prompter) -> str:
        """What the model is sent for the next message."""
        before = list(zip(self.messages, self.said, strict=False))
        return prompter.prompt(self.messages[self.place], self.system, self.thinks, before)

    def row(self) -> dict[str, Any]:
        """What is written of it into the answers file."""
        *earlier, answer = self.said
        about = {"question": self.messages[-1], "answer": answer, "finished": self.finished}
        return {**about, "earlier": earlier}


def main(request: str, answers: str, likelihoods: str = "") -> None:
    """Answer every question of the request file into the answers file, and score its texts into another."""
    wanted = json.loads(Path(request).read_text(encoding="utf-8"))
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    progress.phase(Phase.loading)
    model, tokenizer = load(wanted["model"], device, DTYPES[wanted["precision"]])
    folder = Path(wanted["model"])
    template = template_of(wanted["template"], folder)
    prompter = Prompter(folder, template, first_token(tokenizer))
    texts, system = wanted.get("texts", ()), wanted.get("system", "")
    talks = [talk_of(question, system) for question in wanted["questions"]]
    replayed = wanted.get("replayed", ())
    count = AnswerCount.of(talks, texts, len(replayed), progress.reach)
    progress.phase(Phase.answering, count.answers)
    carry_on(model, tokenizer, prompter, talks, count)
    said = [talk.row() for talk in talks]
    if replayed:
        progress.phase(Phase.teacher, len(replayed))
        found = told(model, folder, template, wanted, said, count.told)
        write_teacher(Path(wanted["teacher"]), found)
    write_json(Path(answers), said)
    if likelihoods:
        progress.phase(Phase.scoring, count.answers, count.done)
        scores = score_all(model, tokenizer, prompter, texts, system, count.scored)
        write_json(Path(likelihoods), scores)


def answer_all(
    model: Any,
    tokenizer: Any,
    prompter: Prompter,
    questions: Sequence[Mapping[str, Any]],
    system: str,
    tell: Callable[[int, int, float], object] = lambda *_: None,
) -> list[dict[str, Any]]:
    """What a loaded model answers to the questions of a request, as the answers file has it. ``tell`` is
    :class:`AnswerCount`'s."""
    talks = [talk_of(question, system) for question in questions]
    carry_on(model, tokenizer, prompter, talks, AnswerCount.of(talks, tell=tell))
    return [talk.row() for talk in talks]


def talk_of(question: Mapping[str, Any], system: str) -> Talk:
    """A question of the request, whose ``system`` prompt it has unless it brings one."""
    messages = (*question.get("earlier", ()), question["question"])
    return Talk(messages, question.get("system") or system, question.get("thinks"), question["tokens"], [])


class AnswerCount:
    """How far the answering is, said in the log every second: answers, and the share of the time, which goes
    with the tokens and the steps of each round. An answer that ends before its limit is done with all it was
    allowed.

    ``rounds``: of the first, second, … messages of all conversations the limits of their answers. ``tell``
    hears it at once: how many are done of how many, and the share.
    """

    def __init__(
        self,
        rounds: Sequence[Sequence[int]],
        texts: int = 0,
        replayed: int = 0,
        tell: Callable[[int, int, float], object] = lambda *_: None,
    ) -> None:
        self.answers, self.replayed, self.tell = sum(map(len, rounds)) + texts, replayed, tell
        works = [A_TOKEN * sum(limits) + A_STEP * max(limits) for limits in rounds]
        self.work = sum(works) + READ * (texts + replayed)
        # What a token of each round counts.
        self.a_token = [work / max(1, sum(limits)) for work, limits in zip(works, rounds, strict=True)]
        self.round, self.done, self.read, self.behind = 0, 0, 0, 0.0
        self.said = time.monotonic()

    @classmethod
    def of(
        cls,
        talks: Sequence[Talk],
        texts: Sequence[Mapping[str, Any]] = (),
        replayed: int = 0,
        tell: Callable[[int, int, float], object] = lambda *_: None,
    ) -> "AnswerCount":
        """Of all that is to be answered and read, and of the answers to be ``replayed`` what else would have
        been said."""
        places = range(max((len(talk.messages) for talk in talks), default=0))
        rounds = [[talk.limit for talk in talks if place < len(talk.messages)] for place in places]
        return cls(rounds, len(texts), replayed, tell)

    @property
    def share(self) -> float:
        """Of the time that all of it takes, from 0 to 1."""
        return min(1.0, self.behind / self.work) if self.work else 1.0

    def more(self, tokens: float, answers: int, last: bool = False) -> None:
        """So many more of the running round are done; its ``last`` are said at once."""
        self._more(tokens * self.a_token[self.round], answers, last)

    def _more(self, work: float, answers: int, at_once: bool) -> None:
        self.behind, self.done = self.behind + work, self.done + answers
        self.tell(self.done, self.answers, self.share)
        self._say(at_once)

    def scored(self, texts: int) -> None:
        """So many more given answers were read."""
        self._more(texts * READ, texts, at_once=True)

    def told(self, more: int, rows: int) -> None:
        """Of so many more of all ``rows`` that are replayed it is known what else would have been said."""
        self.read += more
        self.behind += self.replayed * READ * more / rows
        self.tell(self.read, rows, self.share)
        self._say()

    def _say(self, at_once: bool = False) -> None:
        if at_once or time.monotonic() - self.said > SAID_EVERY:
            self.said = time.monotonic()
            print(f"answered {self.done}/{self.answers} ({self.share:.4f})", flush=True)


def carry_on(
    model: Any, tokenizer: Any, prompter: Prompter, talks: Sequence[Talk], count: AnswerCount
) -> None:
    """Answer every message of every conversation: the first ones of all, then the second ones, …; what is
    sent more than once is answered once."""
    ends, hidden = end_tokens(tokenizer, prompter.template), hidden_tokens(tokenizer)
    for place in range(max((len(talk.messages) for talk in talks), default=0)):
        count.round = place
        same: dict[tuple[str, int], list[Talk]] = {}
        for talk in talks:
            if talk.place == place < len(talk.messages):
                same.setdefault((talk.prompt(prompter), talk.limit), []).append(talk)
        prompts, limits = [prompt for prompt, _ in same], [limit for _, limit in same]
        ids = tokenizer(prompts, add_special_tokens=False)["input_ids"]
        written = write_all(model, ids, limits, ends, tokenizer.pad_token_id, count.more)
        for prompt, some, made in zip(prompts, same.values(), written, strict=True):
            text, finished = _read(tokenizer, made, ends, hidden)
            for talk in some:
                talk.said.append(whole(prompt, text))
                talk.finished = finished
        again = {key: len(some) - 1 for key, some in same.items()}
        count.more(sum(limit * again[key] for key in same for limit in key[1:]), sum(again.values()), True)


def whole(prompt: str, text: str) -> str:
    """An answer's text with the mark of a thought that its prompt began."""
    opened = left_open(prompt)
    return f"{opened}{text}" if opened else text.lstrip()


def load(folder: str, device: str, dtype: torch.dtype) -> tuple[Any, Any]:
    """The model ready to generate, with its adapter where the folder is of that kind, and its tokenizer,
    padding on the left."""
    tokenizer = load_tokenizer(folder, padding_side="left")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if fitted := fitted_in(Path(folder)):
        from core.engine.adapter import load_fitted  # PEFT takes a second to import

        model = load_fitted(fitted, dtype)
    else:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)  # nosec B615  # a folder
    return model.to(device).eval(), tokenizer


def first_token(tokenizer: Any) -> str:
    """What training puts before every text: asked without it a model would meet another text."""
    return "" if type(tokenizer).__name__ in WITHOUT_FIRST_TOKEN else tokenizer.bos_token or ""


def end_tokens(tokenizer: Any, template: Template) -> list[int]:
    """The tokens that end an answer: the tokenizer's own and the template's stop words that are one token."""
    words = [template.suffix, *template.stop_words]
    ids = [tokenizer.convert_tokens_to_ids(word) for word in words if word]
    known = {i for i in ids if i is not None and i != tokenizer.unk_token_id}
    return sorted(known | {tokenizer.eos_token_id})


def hidden_tokens(tokenizer: Any) -> frozenset[int]:
    """The special tokens that are no part of an answer's text: all but those that tell a thought from it."""
    known = tokenizer.get_vocab()
    kept = {known[mark] for mark in special_marks(known.__contains__)}
    added = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    return frozenset((added | set(tokenizer.all_special_ids)) - kept)


def _read(
    tokenizer: Any, ids: list[int], ends: list[int], hidden: frozenset[int] = frozenset()
) -> tuple[str, bool]:
    end = next((place for place, token in enumerate(ids) if token in ends), None)
    text = tokenizer.decode([token for token in ids[:end] if token not in hidden])
    # The limit may cut a character of several tokens: what is left of it reads as U+FFFD.
    return (text if end is not None else text.rstrip("\ufffd")).rstrip(), end is not None
