"""No program in a model's or adapter's folder is run, by any tool: what would run one is taken out of the
libraries as they are imported, whoever imports them and in whatever order.

Why each: transformers 4.57 asks before it runs code from a hub and not before it runs code from a folder
(``custom_generate/generate.py``, at every ``from_pretrained``; and ``<name>/custom_generate`` in the working
folder for what a generation_config may ask for); a config's ``auto_map`` and an adapter's
``tokenizer_kwargs`` may say ``trust_remote_code``; the ``kernels`` package fetches programs that a config's
``attn_implementation`` names; XTuner 0.2.0 and DeepSpeed 0.18.9 ask torch for pickles that run what they
hold, and a variable of the environment lets others do so; mmengine 0.10.7 runs a text in the checkpoint that
it resumes.
"""

import os
import re
from functools import wraps
from types import ModuleType
from typing import Any, NoReturn

from core.engine.left_out import leave_out
from core.engine.on_import import when_imported

# Who may say that pickles are safe, and code from a hub.
PERMISSIONS = ("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "TRUST_REMOTE_CODE")
WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
# What torch's own words say of what is in the file.
_UNPICKLED = re.compile(r"WeightsUnpickler error:\s*Unsupported \w+:? [\w.]+( [\w.]+)?")


def forbid_model_code() -> None:
    """From here on, in this process and those it starts. Twice is harmless."""
    for name in PERMISSIONS:
        os.environ.pop(name, None)
    os.environ[WEIGHTS_ONLY] = "1"
    leave_out("kernels")
    when_imported("transformers.dynamic_module_utils", _run_no_module_of_a_model)
    when_imported("torch.serialization", _advise_no_pickle)
    when_imported("mmengine.config.config", _run_no_text_of_a_checkpoint)


def _advise_no_pickle(module: ModuleType) -> None:
    """torch 2.13 says of a file that holds more than weights, or is damaged, how to load it all the same."""
    load, unpickling_error = module.load, module.pickle.UnpicklingError

    @wraps(load)
    def load_or_say_what_is_wrong(*positional: Any, **options: Any) -> Any:
        try:
            return load(*positional, **options)
        except unpickling_error as error:
            found = _UNPICKLED.search(str(error))
            said = f": {' '.join(found[0].split())}" if found else ": the file is damaged, or none of torch's"
            raise unpickling_error(f"Weights only load failed{said}") from None

    module.load = load_or_say_what_is_wrong  # type: ignore[attr-defined]


def _run_no_text_of_a_checkpoint(module: ModuleType) -> None:
    """mmengine runs what stands under ``meta.config`` of a checkpoint as a config, to see on how many GPUs it
    was trained. Text passes for weights, and mmengine's own checkpoints have theirs under another name."""
    module.Config.fromstring = staticmethod(lambda *_, **__: module.Config())


def _run_no_module_of_a_model(module: ModuleType) -> None:
    """All of transformers comes by here for a module of a model: copied into its cache, then imported.

    ``from_pretrained`` takes an OSError for "there is none" and goes on without.
    """

    def refuse(where: object, *_: object, **__: object) -> NoReturn:
        raise OSError(f"{where}: a model's own programs are never run")

    for name in ("get_cached_module_file", "get_class_in_module", "get_class_from_dynamic_module"):
        if not hasattr(module, name):
            raise AttributeError(
                f"this version of transformers runs a model's code in another way than {name}"
            )
        setattr(module, name, refuse)
