"""The tokens of the answers in a batch of rows, and a model's logits at them."""

from typing import Any

import torch

Data = dict[str, torch.Tensor]


def answers_of(data: Data) -> tuple[torch.Tensor, torch.Tensor]:
    """The answers' tokens, and where they stand: (rows, length - 1), moved to the token that says them."""
    shifted = data["labels"][:, 1:]
    answers = shifted != -100
    return shifted[answers], answers


def logits_of(model: Any, data: Data, answers: torch.Tensor) -> torch.Tensor:
    """(answer tokens, vocabulary): of no other token are they computed."""
    inputs = {name: value for name, value in data.items() if name != "labels"}
    hidden = model.get_decoder()(**inputs, use_cache=False).last_hidden_state
    logits: torch.Tensor = model.get_output_embeddings()(hidden[:, :-1][answers])
    return logits


def mean(total: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """A batch of which the length limit left no answer adds nothing, instead of a loss that is no number."""
    return total / max(1, len(labels))
