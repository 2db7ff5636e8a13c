"""The loss of a training that replays the base model: what is taught is learned from its answers, what is
replayed keeps to the base's own distribution.

A row is a replay when the base, with the adapter switched off, gives this very answer by itself. There the
loss is the divergence from the base (Hinton et al. 2015; for forgetting: Li & Hoiem 2016, "Learning without
forgetting"), which is zero as long as nothing was forgotten, however often a row is seen. The likelihood of
the one greedy answer is not: it sharpens what it replays and lets go of the rest.
"""

from contextlib import nullcontext
from typing import Any

import torch
from torch.nn.functional import cross_entropy, kl_div, log_softmax

# The last token may differ: an answer cut off at the token limit ends in the data and goes on in the base.
AGREEMENT = 0.9

Data = dict[str, torch.Tensor]


def answer_loss(self: Any, data: Data, _: object = None) -> Data:
    """``SupervisedFinetune.compute_loss``: mean cross-entropy of the answers' tokens, as transformers' own
    loss gives it, without computing the logits of any other token."""
    labels, answers = _answers(data)
    with _autocast(self):
        logits = _logits(self, data, answers)
    return {"loss": _mean(cross_entropy(logits.float(), labels, reduction="sum"), labels)}


def distilled_loss(self: Any, data: Data, _: object = None) -> Data:
    """The same, with the divergence from the base in the rows that the base answers this way by itself."""
    labels, answers = _answers(data)
    with _autocast(self):
        logits = _logits(self, data, answers).float()
        with torch.no_grad(), self.llm.disable_adapter():
            base = _logits(self, data, answers).float()
    return {"loss": replay_loss(logits, base, labels, answers.nonzero()[:, 0])}


def replay_loss(
    logits: torch.Tensor, base: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor
) -> torch.Tensor:
    """The mean over the answers' tokens: of the cross-entropy, or in a replayed row of the divergence.

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
    return _mean(taught + kept, labels)


def _answers(data: Data) -> tuple[torch.Tensor, torch.Tensor]:
    """The answers' tokens, and where they stand: (rows, length - 1), moved to the token that says them."""
    shifted = data["labels"][:, 1:]
    answers = shifted != -100
    return shifted[answers], answers


def _logits(self: Any, data: Data, answers: torch.Tensor) -> torch.Tensor:
    """(answer tokens, vocabulary)."""
    model = self.llm.get_base_model() if self.use_lora else self.llm
    inputs = {name: value for name, value in data.items() if name != "labels"}
    hidden = model.get_decoder()(**inputs, use_cache=False).last_hidden_state
    logits: torch.Tensor = model.get_output_embeddings()(hidden[:, :-1][answers])
    return logits


def _autocast(self: Any) -> Any:
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


def _mean(total: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """A batch of which the length limit left no answer adds nothing, instead of a loss that is no number."""
    return total / max(1, len(labels))
