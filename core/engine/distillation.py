"""The loss of a training that replays the base model: what is taught is learned from its answers, what is
replayed keeps to the base's own distribution. Here the base is computed beside in every step, which asks for
nothing to be known before; what the base said before is read by :mod:`core.engine.teacher`, and this is for
rows that came from elsewhere.

A row is a replay when the base model gives this very answer by itself. The base is the model with its adapter
switched off, or with PiSSA's matrices as they began; of a full fine-tune it is a copy. There the
loss is the divergence from the base (Hinton et al. 2015; for forgetting: Li & Hoiem 2016, "Learning without
forgetting"), which is zero as long as nothing was forgotten, however often a row is seen. The likelihood of
the one greedy answer is not: it sharpens what it replays and lets go of the rest.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from typing import Any

import torch
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from core.engine.answer_tokens import Data, answers_of, logits_of, mean
from core.engine.pissa import as_it_began
from core.engine.teacher_loss import REPLAY_WEIGHT

# The last token may differ: an answer cut off at the token limit ends in the data and goes on in the base.
AGREEMENT = 0.9


def answer_loss(self: Any, data: Data, _: object = None) -> Data:
    """``SupervisedFinetune.compute_loss``: mean cross-entropy of the answers' tokens, as transformers' own
    loss gives it, without computing the logits of any other token."""
    labels, answers = answers_of(data)
    with autocast(self):
        logits = logits_of(model_of(self), data, answers)
    return {"loss": mean(cross_entropy(logits.float(), labels, reduction="sum"), labels)}


def distilled_loss(self: Any, data: Data, _: object = None) -> Data:
    """The same, with the divergence from the base in the rows that the base answers this way by itself."""
    labels, answers = answers_of(data)
    with autocast(self):
        # First: what the gradient needs of the trained matrices must not be put aside after it was noted.
        with torch.no_grad(), _base(self) as model:
            base = logits_of(model, data, answers).float()
        logits = logits_of(model_of(self), data, answers).float()
    return {"loss": replay_loss(logits, base, labels, answers.nonzero()[:, 0])}


def replay_loss(
    logits: torch.Tensor, base: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor
) -> torch.Tensor:
    """The mean over the answers' tokens: of the cross-entropy, or in a replayed row of the divergence, which
    weighs ``REPLAY_WEIGHT`` times as much.

    ``logits`` and the ``base``'s (answer tokens, vocabulary); ``labels`` and number of the row by token.
    """
    replayed = _replayed(base.argmax(-1) == labels, rows)
    taught = cross_entropy(logits[~replayed], labels[~replayed], reduction="sum")
    kept = kl_div(
        log_softmax(logits[replayed], -1),
        log_softmax(base[replayed], -1),
        log_target=True,
        reduction="sum",
    )
    return mean(taught + REPLAY_WEIGHT * kept, labels)


def keep_a_copy(finetune: Any, at_once: bool = True) -> Callable[[], None]:
    """Models built from here on as ``finetune`` keep the base as it was, where no adapter is put on it: at
    once, or when what this returns is called, before the first step."""
    build = finetune.__init__
    built: list[Any] = []

    def init(self: Any, *positional: Any, **options: Any) -> None:
        build(self, *positional, **options)
        if not self.use_lora:
            built.append(self)
        if at_once:
            copy()

    def copy() -> None:
        for one in built:
            # In no list of modules: neither trained nor saved. Half of it will do beside a GPU's autocast.
            base = deepcopy(one.llm).eval().requires_grad_(False)
            vars(one)["base"] = base.to(torch.bfloat16) if torch.cuda.is_available() else base
        built.clear()

    finetune.__init__ = init
    return copy


@contextmanager
def _base(self: Any) -> Iterator[Any]:
    """The base model, as long as the block lasts."""
    if not self.use_lora:
        yield vars(self)["base"].to(self.llm.device)
        return
    without: AbstractContextManager[None] = (
        as_it_began(self.llm) if hasattr(self.llm, "began") else self.llm.disable_adapter()
    )
    with without:
        yield model_of(self)


def model_of(self: Any) -> Any:
    """The causal language model, with the adapter in its layers where there is one."""
    return self.llm.get_base_model() if self.use_lora else self.llm


def autocast(self: Any) -> Any:
    """mmengine 0.10.7 has no mixed precision on a processor; on a GPU its optimizer wrapper does this."""
    weights = next(self.llm.parameters())
    if weights.device.type == "cpu" and weights.dtype is torch.bfloat16:
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return nullcontext()


def _replayed(agreed: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Of each answer token, whether its row is a replay."""
    several = int(rows.max()) + 1 if len(rows) else 0
    counts = torch.zeros(several, device=agreed.device).index_add_(0, rows, torch.ones_like(rows).float())
    hits = torch.zeros_like(counts).index_add_(0, rows, agreed.float())
    return ((hits + 1) >= AGREEMENT * counts)[rows]
