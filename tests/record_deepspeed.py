"""Records tests/recorded/deepspeed_zero2: what XTuner 0.2.0 leaves in a work_dir with DeepSpeed 0.18.9.

    python -m tests.record_deepspeed FOLDER

A real training, four iterations of ZeRO-2 in float32 on a processor with the model of tests/small_model.py,
in FOLDER/work_dirs/config. DeepSpeed compiles a part of itself for it, which takes a compiler and a minute;
that is why the tests read a recording. Left out were the log, and the program zero_to_fp32.py that DeepSpeed
puts beside its checkpoints.
"""

import json
import os
import sys
from pathlib import Path

from core.recipe.recipe import Recipe
from core.recipe.xtuner_config import write_config
from tests.small_model import make_small_model

STAGE_2 = {
    "gradient_accumulation_steps": "auto",
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_clipping": "auto",
    "zero_allow_untested_optimizer": True,
    "zero_force_ds_cpu_optimizer": False,
    "zero_optimization": {"stage": 2, "overlap_comm": False},
}
ALONE = {
    "RANK": "0",
    "LOCAL_RANK": "0",
    "WORLD_SIZE": "1",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29511",
}
RECIPE = Recipe(
    model="base",
    data="rows.json",
    template="qwen_chat",
    device="cpu",
    precision="fp32",
    rank=2,
    target_modules=("up_proj", "down_proj"),
    max_length=64,
    batch_size=2,
    iterations=4,
    save_every=4,
    log_every=1,
    deepspeed="zero2",
)


def main(folder: Path) -> None:
    """Write model, rows and config into ``folder`` and become XTuner."""
    os.chdir(folder)
    make_small_model(Path("base"))
    rows = [{"conversation": [{"input": f"Question {n}?", "output": f"Answer {n}."}]} for n in range(8)]
    Path("rows.json").write_text(json.dumps(rows), encoding="utf-8")
    Path("stage2.json").write_text(json.dumps(STAGE_2), encoding="utf-8")
    config = write_config(RECIPE, Path("rows.json"), Path("base"), Path("work_dirs/config"))
    Path("config.py").write_text(config, encoding="utf-8")
    program = (
        "import runpy, torch, transformers; torch.cpu.is_bf16_supported = lambda: False; "
        "transformers.utils.is_safetensors_available = lambda: True; "
        "transformers.Qwen2Tokenizer.__name__ = 'Qwen2TokenizerFast'; "
        "runpy.run_module('xtuner.tools.train', run_name='__main__', alter_sys=True)"
    )
    environment = {**os.environ, **ALONE, "DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-P", "-c", program, "config.py", "--deepspeed", "stage2.json"]
    os.execve(sys.executable, command, environment)  # noqa: S606


if __name__ == "__main__":
    main(Path(sys.argv[1]))
