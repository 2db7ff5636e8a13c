"""Ask several checkpoints of one run the same questions in one process: the base model is loaded once, and
takes on what each has trained.

The request is a JSON file ``{"model", "template", "system", "precision", "config", "checkpoints":
[{"checkpoint", "questions"}]}``, with questions as ``core.engine.answer`` has them; ``config`` is XTuner's,
null for a full fine-tune. The answers go to another, a list for each checkpoint in the same order, written
anew after each, so that who stops it keeps what was said.

Every model is what would be asked after converting and merging: the adapter is added to weights in the
precision that merged models are stored in, and the sum is what answers.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import Tensor

from core.data.asking import Prompter
from core.engine.answer import DTYPES, answer_all, first_token, load
from core.engine.checkpoint_file import trained_weights
from core.engine.export import half_precision
from core.engine.pissa import ASKED, FILE, as_lora, twice_the_rank, where_it_began
from core.jobs import progress
from core.jobs.progress import Phase
from core.recipe.own_template import template_of
from core.workspace.files import write_json

# What PEFT is told of LoRA besides where it stands, which a checkpoint's own names say.
OF_PLACES = ("type", "target_modules", "layers_to_transform", "layers_pattern", "init_lora_weights")
IN_PEFT = "base_model.model."


class Wearer(Protocol):
    """A model that takes on what a checkpoint has trained."""

    model: Any

    def put_on(self, checkpoint: Path) -> None:
        """Whatever it had on before is gone."""


def main(request: str, answers: str) -> None:
    """Answer for every checkpoint of the request file into the answers file."""
    wanted = json.loads(Path(request).read_text(encoding="utf-8"))
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    stored, computed = half_precision(wanted["model"]), DTYPES[wanted["precision"]]
    progress.phase(Phase.loading)
    model, tokenizer = load(wanted["model"], device, stored)
    folder = Path(wanted["model"])
    prompter = Prompter(folder, template_of(wanted["template"], folder), first_token(tokenizer))
    wearer, asked = wearer_of(model, wanted["config"], stored, computed), wanted["checkpoints"]
    done: list[list[dict[str, Any]]] = []
    for place, one in enumerate(asked, 1):
        print(f"checkpoint {place}/{len(asked)}: {Path(one['checkpoint']).name}", flush=True)
        progress.phase(Phase.loading)
        wearer.put_on(Path(one["checkpoint"]))
        progress.phase(Phase.answering)

        def tell(answered: int, of: int, share: float, before: int = place - 1) -> None:
            progress.reach(answered, of, (before + share) / len(asked))

        questions, system = one["questions"], wanted.get("system", "")
        done.append(answer_all(wearer.model, tokenizer, prompter, questions, system, tell))
        write_json(Path(answers), done)


def wearer_of(model: Any, config: str | None, stored: torch.dtype, computed: torch.dtype) -> Wearer:
    """A base model, loaded in the precision that merged ones are ``stored`` in, that answers in another."""
    return Adapted(model, config, stored, computed) if config else Whole(model, stored, computed)


class Whole:
    """A full fine-tune's: every weight is another."""

    def __init__(self, model: Any, stored: torch.dtype, computed: torch.dtype) -> None:
        self.model, self._stored = model.to(computed), stored

    def put_on(self, checkpoint: Path) -> None:
        found = trained_weights(checkpoint)
        self.model.load_state_dict({name: tensor.to(self._stored) for name, tensor in found.items()})


class Adapted:
    """An adapter's: added to weights that are kept as the base has them, because what was added in half
    precision cannot be taken away again."""

    def __init__(self, model: Any, config: str, stored: torch.dtype, computed: torch.dtype) -> None:
        self._base, self._config, self._stored, self._computed = model, config, stored, computed
        self._tuned: Any = None
        self._untouched: dict[str, Tensor] = {}
        self.model = model

    def put_on(self, checkpoint: Path) -> None:
        weights, lora = _as_adapter(checkpoint, self._config)
        if self._tuned is None:
            self._take(lora, weights)
        unknown = self._tuned.load_state_dict(weights, strict=False).unexpected_keys
        if unknown:
            raise ValueError(f"{checkpoint.name} holds what the config does not train: {unknown[0]}")
        for name, layer in self._layers():
            place = layer.get_base_layer().weight
            place.data = self._untouched[name].to(place.device, copy=True)
            layer.merged_adapters.clear()
            layer.merge()
            place.data = place.data.to(self._computed)

    def _take(self, lora: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        names = {name.rpartition(".lora_")[0].removeprefix(IN_PEFT) for name in weights if ".lora_" in name}
        self._tuned = get_peft_model(self._base, LoraConfig(**lora, target_modules=sorted(names))).eval()
        self._untouched = {
            name: layer.get_base_layer().weight.data.to("cpu", copy=True) for name, layer in self._layers()
        }
        for parameter in self._base.parameters():
            if parameter.dtype is self._stored:  # the adapter's own matrices are float32, as PEFT merges them
                parameter.data = parameter.data.to(self._computed)

    def _layers(self) -> list[tuple[str, Any]]:
        return [(name, part) for name, part in self._base.named_modules() if isinstance(part, LoraLayer)]


def _as_adapter(checkpoint: Path, config: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What a checkpoint has trained, by PEFT's names, and the settings of the LoRA that it is; PiSSA's as the
    LoRA that does the same to an untouched base."""
    from mmengine.config import Config

    model = Config.fromfile(config).model
    weights, lora = trained_weights(checkpoint), model.lora
    if lora.get("init_lora_weights") == ASKED:
        if not (checkpoint.parent / FILE).exists():
            _let_xtuner_build(model)
        weights = as_lora(weights, where_it_began(model, checkpoint))
        twice_the_rank(lora)
    else:  # as XTuner's ``pth_to_hf`` stores it
        weights = {name: tensor.half().float() for name, tensor in weights.items()}
    return weights, {name: value for name, value in lora.items() if name not in OF_PLACES}


def _let_xtuner_build(model: Any) -> None:
    """On any machine: a quantized base needs a GPU."""
    from core.engine.patches import patch_xtuner

    patch_xtuner()
    for needs_gpu in ("quantization_config", "device_map"):
        model.llm.pop(needs_gpu, None)
