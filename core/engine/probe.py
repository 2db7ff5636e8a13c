"""What torch sees of this machine, for the doctor: one JSON object on the last line."""

import json

import torch


def main() -> None:
    """Print the GPUs that torch can use and whether they multiply."""
    found: dict[str, object] = {"torch": torch.__version__, "cuda": torch.version.cuda, "gpus": []}
    try:
        found["gpus"] = [_name(index) for index in range(torch.cuda.device_count())]
        found["works"] = _works()
    except RuntimeError as error:
        found["works"], found["error"] = False, str(error).splitlines()[0]
    print(json.dumps(found))


def _name(index: int) -> str:
    return str(torch.cuda.get_device_name(index))


def _works() -> bool:
    if not torch.cuda.is_available():
        return False
    ones = torch.ones(64, 64, device="cuda")
    return bool((ones @ ones)[0, 0].item() == 64)
