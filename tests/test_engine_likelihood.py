"""How likely a model finds given answers: transformers' own loss over the training's tokens, in any batch."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from core.data.asking import Prompter
from core.data.conversations import Turn
from core.data.own_encoder import OwnEncoder, encoder_of
from core.engine import likelihood
from core.engine.answer import first_token, load, main
from core.engine.likelihood import Forced, likelihoods, score_all
from core.engine.room import AtOnce, busy
from core.proof.asking import Answer, Ask, GivenAnswer
from core.recipe.own_template import template_of
from core.steps.answer import PromptFormat, plan, read, read_likelihoods
from core.workspace.files import write_json
from tests.families import make_family
from tests.small_model import make_small_model
from tests.talking_model import make_talkative

# Torch and transformers; what they warn of while they import a family is theirs.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
# A cap of the last logits; linear attention and thoughts; a sliding window; XTuner's template.
FAMILIES = ("gemma4", "qwen3.5", "ministral-8b", "")
GIVEN = (
    Ask("Who are you?", 8),
    Ask("你会做什么？", 8, "Be brief."),
    Ask("Why?", 8, earlier=("Hi", "What can you do?")),
    Ask("Why?", 8),
)
SAID = (
    Answer("I am 小明's assistant. <b>", True),
    Answer("1. {x}\n2. 翻译", False),
    Answer("Because.", True, ("Hello!", "Many things.")),
    Answer("", False),
)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("m") / (request.param or "small")
    return make_talkative(make_family(place, request.param) if request.param else make_small_model(place))


def spoken(place: Path) -> str:
    return "own" if (place / "chat_template.jinja").exists() else "internlm2_chat"


def rows(place: Path) -> Iterator[tuple[list[int], list[bool]]]:
    """The tokens of each given answer as training has them, the last of its conversation trained."""
    encoder = encoder_of(place / "tokenizer.json", template_of(spoken(place), place))
    for ask, said in zip(GIVEN, SAID, strict=True):
        pairs = [*zip(ask.earlier, said.earlier, strict=True), (ask.question, said.text)]
        turns = [Turn(*pair, trained=False) for pair in pairs]
        first = Turn(turns[0].input, turns[0].output, ask.system, trained=False)
        last = [first, *turns[1:]][-1]
        turns = [*[first, *turns[1:]][:-1], Turn(last.input, last.output, last.system)]
        if isinstance(encoder, OwnEncoder):
            row = encoder.rows(tuple(turns))[-1]
            yield row.ids, row.trained
        else:
            pieces = encoder.pieces(tuple(turns), 10_000)
            flat = [(one, piece.trained) for piece in pieces for one in piece.ids]
            yield [one for one, _ in flat], [trained for _, trained in flat]


def test_it_is_the_loss_of_training_s_tokens(family: Path, tmp_path: Path) -> None:
    """Of an answer that the limit cut off without the token that ends it."""
    given = [GivenAnswer(*pair) for pair in zip(GIVEN, SAID, strict=True)]
    spec = plan(tmp_path, family, PromptFormat(spoken(family), "", "fp32"), GIVEN, "cpu", given)
    write_json(tmp_path / "request.json", spec.request)
    main(*(str(tmp_path / name) for name in ("request.json", "answers.json", "likelihoods.json")))
    assert set(read(tmp_path, GIVEN)) == set(GIVEN)
    found = read_likelihoods(tmp_path, given)
    own = AutoModelForCausalLM.from_pretrained(family, dtype=torch.float32).eval()
    for one, (ids, trained) in zip(given, rows(family), strict=True):
        counted = [place for place, learned in enumerate(trained) if learned]
        counted = counted if one.answer.finished else counted[:-1] if one.answer.text else []
        assert found[one].tokens == len(counted)
        labels = [token if place in counted else -100 for place, token in enumerate(ids)]
        with torch.inference_mode():
            loss = own(input_ids=torch.tensor([ids]), labels=torch.tensor([labels])).loss
        expected = float(loss) * len(counted) if counted else 0.0
        assert found[one].nats == pytest.approx(expected, abs=1e-3, rel=1e-4)


def test_against_itself_it_has_not_drifted(family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is in a batch together."""
    speaks, tokenizer = load(str(family), "cpu", torch.float32)
    prompter = Prompter(family, template_of(spoken(family), family), first_token(tokenizer))
    texts = [
        {"question": f"What is {n} and {n}?", "answer": "Two. " * (1 + n * 7 % 5), "finished": bool(n % 2)}
        for n in range(9)
    ]
    one = score_all(speaks, tokenizer, prompter, texts, "")
    monkeypatch.setattr(likelihood, "room_for_logits", lambda _: 20)
    two = score_all(speaks, tokenizer, prompter, texts, "")
    tokens = sum(found["tokens"] for found in one)
    assert [found["tokens"] for found in one] == [found["tokens"] for found in two]
    drift = (sum(found["nats"] for found in one) - sum(found["nats"] for found in two)) / tokens
    assert abs(drift) < 1e-4


def test_a_batch_that_memory_is_too_small_for_is_halved() -> None:
    lengths, tried = [3, 4, 5, 6, 7, 8, 9], []

    def do(batch: list[int]) -> list[int]:
        tried.append(len(batch))
        if sum(lengths[i] for i in batch) > 16:
            raise torch.OutOfMemoryError
        return [lengths[i] for i in batch]

    model: Any = SimpleNamespace(device=torch.device("cpu"), num_parameters=lambda: 1000)
    done = list(AtOnce(model, most=40).work(range(7), lengths.__getitem__, do))
    assert [i for batch, _ in done for i in batch] == list(range(7))
    assert [found for _, some in done for found in some] == lengths and tried[:2] == [5, 2]
    with pytest.raises(torch.OutOfMemoryError):
        lengths[6] = 17
        list(AtOnce(model).work([6], lengths.__getitem__, do))


def test_of_nothing_else_are_logits_there(tmp_path: Path) -> None:
    model, _ = load(str(make_small_model(tmp_path / "m")), "cpu", torch.float32)
    seen: list[torch.Size] = []
    model.get_output_embeddings().register_forward_hook(lambda *made: seen.append(made[2].shape))
    forced = [Forced(list(range(3, 40)), 35), Forced(list(range(3, 30)), 20)]
    assert len(list(likelihoods(model, forced))) == 1
    assert seen == [torch.Size([1, 9, 1024])]


def test_a_processor_takes_fewer_tokens_of_a_larger_model_at_once() -> None:
    """No constant is one model's: what takes seconds follows the weights, down to what is worth a batch."""
    tokens = [busy(SimpleNamespace(num_parameters=lambda size=size: size)) for size in (1e8, 5e8, 7e9)]  # type: ignore[misc]
    assert tokens == [10_000, 2_000, 1024]
