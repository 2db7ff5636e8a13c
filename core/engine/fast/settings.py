"""What of the fast path a config asks for."""

from dataclasses import dataclass, fields
from typing import Any, Literal


@dataclass(frozen=True)
class Acceleration:
    """The ``acceleration`` of a config, as ``core.recipe.xtuner_config`` writes it.

    ``compile``: whole layers by torch.compile, or only what is between their products (``kernels``: for rows
    of any length); ``cuda_graph``: steps of one shape are recorded and played back; ``padding_free``: rows
    one after the other instead of padded; ``attention``: whose kernels; ``checkpointed_layers``: how many are
    computed again instead of kept, from the first; ``offload``: their inputs wait in the host's memory.
    """

    compile: Literal["none", "kernels", "layers"] = "none"
    cuda_graph: bool = False
    padding_free: bool = True
    attention: Literal["cudnn", "flash"] = "flash"
    checkpointed_layers: int = 0
    offload: bool = False

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Acceleration":
        """Unknown names are left out: the config of a newer version still trains."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


def distills_replay(config: Any) -> bool:
    """Whether a config asks for it; one written before 0.1.0 calls it ``self_distillation``."""
    return bool(config.get("replay_distillation", config.get("self_distillation")))
