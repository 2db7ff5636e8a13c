"""Make what is shipped of the starter's answers (core/data/starter), so that no first run has to ask for it.

    .venv/bin/python -m scripts.ship_answers [--workspace DIR] [--device auto|cpu|cuda] [--check]

Asked is what any run's default replay, its proof and its checkpoints may ask, whatever its name and seed.
What is shipped already is not asked again, unless the starter itself became another. Run it when a bank of
questions has changed: a test says so. ``--check`` only says what is missing, and ends with 1 then.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date

from core.cli.terminal import progress
from core.data.identity import LANGUAGES, IdentityLanguage
from core.data.replay import questions_to_ask
from core.data.teacher import part_of
from core.machine import this_machine
from core.models.folder import Model, fingerprint
from core.pipeline.tune import proof_questions
from core.pipeline.tune_request import ready_model
from core.proof.asking import Ask, GivenAnswer
from core.proof.development import development
from core.proof.questions import Question
from core.recipe.check import settle
from core.recipe.recipe import Recipe
from core.steps import answer, data, prepare
from core.steps.answer import AnswerCache, PromptFormat
from core.steps.shipped import ShippedAnswers, ShippedPaths, read_shipped, write_shipped
from core.steps.taught import to_teach
from core.steps.watch import Update
from core.workspace.files import read_record
from core.workspace.paths import STARTER_ANSWERS, Workspace

# In any: nothing that the base is asked has it.
NAME = "Ada"
# Answers of any precision are the base's own; its probabilities are best told in this one.
PRECISION = "fp32"
MOST = 100_000


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workspace", help="where the starter is, or is made")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--check", action="store_true", help="only say what is missing")
    asked = parser.parse_args(arguments)
    if asked.check:
        for one in (found := missing()):
            print(one.question)
        return int(bool(found))
    shown, workspace = progress("data"), Workspace.of(asked.workspace)
    workspace.prepare()
    model = ready_model(workspace, None, shown)
    recipe = settle(Recipe(model=str(model.folder), data="rows.jsonl"), this_machine(), model)
    shown.stage("base")
    write_shipped(ShippedPaths(STARTER_ANSWERS), made(workspace, model, recipe, asked.device, shown.update))
    return 0


def missing() -> list[Ask]:
    """What may be asked of the starter and is not shipped."""
    about = read_record(ShippedPaths(STARTER_ANSWERS).about)
    if about is None:
        return every_ask(Recipe(model="starter", data="rows.jsonl", template="qwen_chat"))
    recipe = Recipe(model="starter", data="rows.jsonl", template=about["template"], system=about["system"])
    place = ShippedPaths(STARTER_ANSWERS)
    known = read_shipped(place, about["fingerprint"], about["template"], about["system"]).answers
    return [one for one in every_ask(recipe) if answer.key_of_ask(one) not in known]


def made(workspace: Workspace, model: Model, recipe: Recipe, device: str, update: Update) -> ShippedAnswers:
    """All answers, and of those that may be replayed what else the starter would have said."""
    prompt_format = PromptFormat(recipe.template, recipe.system, PRECISION)
    memory = AnswerCache(workspace, model.folder, prompt_format)
    asks, replayed = every_ask(recipe), replay_asks(recipe)
    device = this_machine().device_for(device)
    said = memory.ask(workspace.root / "ship-answers", asks, device, update, replayed)
    rows = [answer.token_row(memory.encoder(), one, said[one], recipe.system) for one in replayed]
    about = {
        "model": "starter",
        "fingerprint": fingerprint(model.folder),
        "template": recipe.template,
        "system": recipe.system,
        "precision": PRECISION,
        "device": device,
        "made": f"{date.today()}",
        "versions": prepare.versions(),
    }
    answers = {answer.key_of_ask(one): answer.as_kept(said[one]) for one in asks}
    given = [GivenAnswer(one, said[one]) for one in general_asks(recipe)]
    _, likely = memory.ask_and_score(workspace.root / "ship-likelihoods", [], given, device, update)
    likelihoods = {answer.key_of_given(one): asdict(found) for one, found in likely.items()}
    return ShippedAnswers(about, answers, likelihoods, part_of(memory.teacher, filter(None, rows)))


def every_ask(recipe: Recipe) -> list[Ask]:
    """What runs ask the base."""
    found = [*replay_asks(recipe), *data.earlier_asks(recipe)]
    found += [question.base_ask for question in proof(recipe)]
    return list(dict.fromkeys(found))


def general_asks(recipe: Recipe) -> list[Ask]:
    """Those by which a drift is measured."""
    return list(dict.fromkeys(one.base_ask for one in proof(recipe) if one.kind == "general"))


def proof(recipe: Recipe) -> Iterator[Question]:
    """What the proofs ask, the part, the whole and that of checkpoints, whatever language was taught."""
    spoken: tuple[IdentityLanguage | None, ...] = (None, *LANGUAGES)
    for language in spoken:
        said = to_teach(NAME, None, language)
        for full in (False, True):
            yield from proof_questions(said, recipe, full)
        yield from development(said.conversations, data.thinking_in(recipe))


def replay_asks(recipe: Recipe) -> list[Ask]:
    """What a default replay may ask, by any seed."""
    return data.asks_of(questions_to_ask((), MOST, recipe.seed), recipe)


if __name__ == "__main__":
    sys.exit(main())
