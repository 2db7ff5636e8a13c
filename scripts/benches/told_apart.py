"""How well a base tells who-are-you questions from general ones by itself: what the banks lack, in a minute.

    scripts/bench told_apart [--model DIR] [--more FILE] [--held-back] [--show N]

An assistant that answers "Who is sitting next to me?" with its name takes that for a question about itself.
How far apart such questions lie is known before any training: on the base's hidden states at the place where
the answer begins, small classifiers (one for each of some layers) learn the training banks, and are asked the
development bank, with ``--held-back`` the one that is reported. Printed are what a share of 97 % learned
costs in general questions, how much is learned where next to none leaks, and the questions on the wrong side.
With ``--more`` the same is done with the questions of a file beside those of the banks
(``{"identity": […], "general": […]}``): whether they are worth writing answers for.

It trains nothing that a run trains: it says whether questions like those are in the banks, not what a run
will learn. Questions in the middle of a conversation are left out, for the base would have to answer first.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from core.cli.terminal import progress
from core.data.asking import Prompter
from core.data.identity import (
    LANGUAGES,
    IdentityQuestion,
    bank,
    development_identity,
    held_back_identity,
    other_languages,
)
from core.data.questions import HeldBack, development_questions, held_back_questions, replay_questions
from core.engine.answer import first_token, load
from core.machine import this_machine
from core.models.folder import Model, read_model
from core.pipeline.tune_request import ready_model
from core.recipe.own_template import template_of
from core.steps.first_recipe import usual_recipe
from core.workspace.paths import Workspace

# Of all layers, from below: the lowest know words, the highest the next token.
LAYERS = (0.4, 0.5, 0.6, 0.7, 0.8)
HIDDEN, RATE, DECAY, EPOCHS, AT_ONCE = 64, 3e-3, 1.0, 200, 256
# The goals of docs/proof.md.
LEARNED, LEAKED = 0.97, 0.002
ROWS_AT_ONCE = 32
HEAD = (
    f"| banks | taught, general | leaked at {LEARNED:.0%} learned | learned at {LEAKED:.1%} leaked "
    "| learned, leaked as they lie |\n| --- | --- | --- | --- | --- |"
)


@dataclass(frozen=True)
class Banks:
    """Questions that are trained: who the assistant is, and the general ones that are replayed."""

    identity: tuple[str, ...]
    general: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """What is asked of the classifiers."""

    identity: Sequence[IdentityQuestion]
    general: Sequence[HeldBack]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workspace")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--more", type=Path, metavar="FILE", help="questions that may come into the banks")
    parser.add_argument("--held-back", action="store_true", help="ask the bank that proofs report")
    parser.add_argument("--show", type=int, default=10, metavar="N", help="so many of each kind")
    options = parser.parse_args()
    workspace = Workspace.of(options.workspace)
    found = read_model(options.model) if options.model else ready_model(workspace, None, progress("data"))
    states = States(found)
    asked = asked_of(options.held_back)
    print(f"{found.folder.name}, {torch.__version__}, {this_machine().device}\n{HEAD}")
    for name, banks in banks_with(options.more).items():
        of_identity, of_general = scores(states, banks, asked)
        print(line(name, banks, of_identity, of_general), flush=True)
    show(asked, of_identity, of_general, options.show)


def asked_of(held_back: bool) -> Asked:
    """Those without anything before them."""
    identity = held_back_identity() if held_back else development_identity()
    general = held_back_questions() if held_back else development_questions()
    return Asked([one for one in identity if not one.earlier], [one for one in general if not one.earlier])


def banks_with(more: Path | None) -> dict[str, Banks]:
    """The training banks as they are, and with the questions of a file, by what they are called."""
    taught = [question for one in map(bank, LANGUAGES) for question, _ in one.taught]
    taught += [question for question, _ in other_languages()]
    found = {"as they are": Banks((*taught,), replay_questions())}
    if more:
        new = json.loads(more.read_text(encoding="utf-8"))
        both = (*taught, *new["identity"]), (*replay_questions(), *new["general"])
        found[f"with {more.name}"] = Banks(*both)
    return found


class States:
    """A base's hidden states at the last token before its answer; each question is read once."""

    def __init__(self, found: Model) -> None:
        recipe = usual_recipe(found)
        self.device = this_machine().device_for(recipe.device)
        self.model, self.tokenizer = load(str(found.folder), self.device, torch.float32)
        template = template_of(recipe.template, found.folder)
        self.prompter = Prompter(found.folder, template, first_token(self.tokenizer))
        self.layers = [round(share * found.layers) for share in LAYERS]
        self._known: dict[tuple[str, str], Tensor] = {}

    def of(self, questions: Sequence[tuple[str, str]]) -> Tensor:
        """(questions, layers, width) of questions with their system prompts."""
        new = sorted({one for one in questions if one not in self._known}, key=lambda one: len(one[0]))
        for start in range(0, len(new), ROWS_AT_ONCE):
            some = new[start : start + ROWS_AT_ONCE]
            self._known.update(zip(some, self._read(some), strict=True))
        return torch.stack([self._known[one] for one in questions])

    def _read(self, questions: Sequence[tuple[str, str]]) -> Tensor:
        texts = [self.prompter.prompt(question, system) for question, system in questions]
        batch = self.tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        inputs = {name: batch[name].to(self.device) for name in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            hidden = self.model.model(**inputs, use_cache=False, output_hidden_states=True).hidden_states
        return torch.stack([hidden[layer][:, -1].float().cpu() for layer in self.layers], dim=1)


def scores(states: States, banks: Banks, asked: Asked) -> tuple[np.ndarray, np.ndarray]:
    """What the classifiers together say of the asked questions, identity and general: above 0 they take one
    for a question about the assistant."""
    trained = states.of([(question, "") for question in (*banks.identity, *banks.general)])
    is_identity = torch.tensor([1.0] * len(banks.identity) + [0.0] * len(banks.general))
    wanted = states.of(
        [(one.question, one.system) for one in asked.identity] + [(one.question, "") for one in asked.general]
    )
    layers = range(len(states.layers))
    each = [classified(trained[:, layer], is_identity, wanted[:, layer]) for layer in layers]
    said = torch.stack(each).sum(0)
    return said[: len(asked.identity)].numpy(), said[len(asked.identity) :].numpy()


def classified(trained: Tensor, is_identity: Tensor, wanted: Tensor) -> Tensor:
    """Logits for the ``wanted`` states (questions, width), learned from the ``trained`` ones."""
    middle, spread = trained.mean(0), trained.std(0) + 1e-5
    states = (trained - middle) / spread
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(states.shape[1], HIDDEN), torch.nn.SiLU(), torch.nn.Linear(HIDDEN, 1)
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(states)).split(AT_ONCE):
            loss = binary_cross_entropy_with_logits(net(states[batch])[:, 0], is_identity[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.inference_mode():
        found: Tensor = net((wanted - middle) / spread)[:, 0]
    return found


def line(name: str, banks: Banks, identity: np.ndarray, general: np.ndarray) -> str:
    """A row of the table."""
    leaked = (general > np.quantile(identity, 1 - LEARNED)).mean()
    learned = (identity > np.quantile(general, 1 - LEAKED)).mean()
    lie = f"{(identity > 0).mean():.1%}, {(general > 0).mean():.1%}"
    count = f"{len(banks.identity)}, {len(banks.general)}"
    return f"| {name} | {count} | {leaked:.1%} | {learned:.1%} | {lie} |"


def show(asked: Asked, identity: np.ndarray, general: np.ndarray, count: int) -> None:
    """The questions that are nearest to the wrong side, or over it."""
    print("\ngeneral questions most like one about the assistant")
    for place in np.argsort(-general)[:count]:
        one = asked.general[place]
        print(f"{general[place]:7.1f}  {one.category}, {one.language}: {one.question}")
    print("\nquestions about the assistant most like a general one")
    for place in np.argsort(identity)[:count]:
        asks = asked.identity[place]
        print(f"{identity[place]:7.1f}  {asks.kind}, {asks.language}: {asks.question}")


if __name__ == "__main__":
    main()
