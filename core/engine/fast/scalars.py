"""Values that are read from the GPU when somebody looks at them, not when they are made.

mmengine 0.10.7 reads the loss and the gradient's norm in every iteration, and each time the GPU runs dry.
"""

from typing import Any

import torch
from mmengine.logging import MessageHub
from torch import Tensor


def read_scalars_late() -> None:
    """``MessageHub`` keeps a GPU's values as they are until its curves are asked for."""
    update, get, state = MessageHub.update_scalar, MessageHub.get_scalar, MessageHub.state_dict
    waiting: list[tuple[MessageHub, str, Tensor, int, bool]] = []

    def read() -> None:
        if not waiting:
            return
        values = torch.stack([value.float() for _, _, value, *_ in waiting]).tolist()
        for (hub, name, _, count, resumed), value in zip(waiting, values, strict=True):
            update(hub, name, value, count, resumed)
        waiting.clear()

    def update_scalar(self: MessageHub, key: str, value: Any, count: int = 1, resumed: bool = True) -> None:
        if isinstance(value, Tensor) and value.is_cuda:
            waiting.append((self, key, value.detach(), count, resumed))
        else:
            update(self, key, value, count, resumed)

    def log_scalars(self: MessageHub) -> Any:
        read()
        return self._log_scalars

    def get_scalar(self: MessageHub, key: str) -> Any:
        """The iteration's time is asked for in every iteration: only what waits is read."""
        if any(name == key for _, name, *_ in waiting):
            read()
        return self._log_scalars[key] if key in self._log_scalars else get(self, key)

    def state_dict(self: MessageHub) -> Any:
        read()
        return state(self)

    MessageHub.update_scalar, MessageHub.get_scalar = update_scalar, get_scalar
    MessageHub.state_dict, MessageHub.log_scalars = state_dict, property(log_scalars)
