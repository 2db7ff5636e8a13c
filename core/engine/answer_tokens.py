"""The tokens of the answers in a batch of rows, and a model's logits at them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

Data = dict[str, torch.Tensor]


def answers_of(data: Data) -> tuple[torch.Tensor, torch.Tensor]:
    """The answers' tokens, and where they stand: (rows, length - 1), moved to the token that says them."""
    shifted = data["labels"][:, 1:]
    answers = shifted != -100
    return shifted[answers], answers


def logits_of(model: Any, data: Data, answers: torch.Tensor) -> torch.Tensor:
    """(answer tokens, vocabulary): the logits that say the ``answers`` (rows, length - 1) of ``data``, with
    whatever the model does to them after its last matrix (Gemma's cap, Granite's and Cohere's scale). Of no
    other token are they computed."""
    inputs = {name: value for name, value in data.items() if name != "labels"}
    with _only(model.get_output_embeddings(), answers):
        logits: torch.Tensor = model(**inputs, use_cache=False).logits
    if logits.shape[:2] == (answers.shape[0], answers.shape[1] + 1):
        return logits[:, :-1][answers]  # the model has no such matrix, or gives it something else
    return logits[0]


@contextmanager
def _only(head: Any, chosen: torch.Tensor) -> Iterator[None]:
    """The output matrix sees only the chosen places, as one row of a batch."""

    def choose(_: Any, arguments: tuple[Any, ...]) -> Any:
        hidden, *rest = arguments
        if hidden.shape[:2] == (chosen.shape[0], chosen.shape[1] + 1):
            return (hidden[:, :-1][chosen][None], *rest)
        return None

    hook = head.register_forward_pre_hook(choose) if head is not None else None
    try:
        yield
    finally:
        if hook:
            hook.remove()


def mean(total: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """A batch of which the length limit left no answer adds nothing, instead of a loss that is no number."""
    return total / max(1, len(labels))
