"""The only code that imports torch, transformers and xtuner. It runs in child processes
(``python -m core.engine TOOL …``); nothing imports it. What depends on a version says so."""

from core.engine.image_packages import stand_in
from core.engine.model_code import forbid_model_code
from core.engine.transformers_5 import suit_xtuner

stand_in()
forbid_model_code()
suit_xtuner()
