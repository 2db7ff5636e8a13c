"""On a GPU: nothing is read before it is there, also what bitsandbytes makes on a stream of its own."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from core.engine.fast import streams
from core.engine.fast.batches import collate
from core.engine.fast.settings import Acceleration
from tests.lora_models import make
from tests.test_engine_fast import make_rows

pytestmark = [
    pytest.mark.slow,  # torch
    pytest.mark.filterwarnings("default"),  # mmengine imports what speaks of its own future
]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of CUDA."""
    found: list[str] = []
    cuda = SimpleNamespace(
        is_available=lambda: True,
        synchronize=lambda: found.append("synchronize"),
        Stream=lambda: "own",
        set_stream=lambda stream: found.append(stream),
    )
    monkeypatch.setattr(streams, "torch", SimpleNamespace(cuda=cuda))
    return found


def taken() -> Any:
    """A model on the fast path, before its first step."""
    from core.engine.fast.install import FastPath

    model = make()
    finetune = SimpleNamespace(
        use_lora=True, parameters=model.parameters, llm=SimpleNamespace(get_base_model=model.get_base_model)
    )
    FastPath(Acceleration(), 64, None, None).take(finetune)
    return finetune


def trained(finetune: Any) -> list[torch.nn.Parameter]:
    return [parameter for parameter in finetune.parameters() if parameter.requires_grad]


def train(finetune: Any, optimizer: torch.optim.Optimizer) -> None:
    """A step."""
    from mmengine.optim import OptimWrapper

    finetune.train_step(collate(make_rows(), 64), OptimWrapper(optimizer))


def test_the_default_stream_is_left_once_the_model_is_loaded(asked: list[str]) -> None:
    """bitsandbytes quantizes on the default stream: on another one its scales were read before they were
    there."""
    finetune = taken()
    assert not asked
    optimizer = torch.optim.SGD(trained(finetune), lr=0.1)
    for _ in range(2):
        train(finetune, optimizer)
    assert asked == ["synchronize", "own"]


@pytest.mark.parametrize("name", ["AdamW8bit", "PagedAdamW32bit"])
def test_an_update_on_the_default_stream_waits_for_the_gradients(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from bitsandbytes import optim

    finetune = taken()
    optimizer = getattr(optim, name)(trained(finetune))
    monkeypatch.setattr(optimizer, "step", lambda *_, **__: asked.append("step"))
    train(finetune, optimizer)
    assert asked[2:] == ["synchronize", "step"]
