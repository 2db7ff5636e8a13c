# ruff: noqa: E501  (a program in a table is one line)
"""Causes failures and keeps their logs: ``python -m tests.record_failures [NAME …]`` writes
``recorded/failures/NAME.log`` and what is known of each in ``recorded/failures/index.json``.

Each is a program that really fails that way, as a job is run: its own output, its own end. Needs root for the
disks. What cannot be caused without a GPU lies there as well, in the libraries' own words: ``source`` says
where they were seen.
"""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from core.jobs.ending import Reason, ending, failure

HERE = Path(__file__).parent / "recorded" / "failures"
AS_NOBODY = "import os, threading, resource\nos.setgid(65534)\nos.setuid(65534)\n"
# How a machine's own folders are called in what is kept.
NEUTRAL = "/srv/tuneboard"


@dataclass(frozen=True)
class Recorded:
    """How a recorded job ended, what it is put down to, and where its log is from."""

    cause: str
    code: int | None
    signal: str | None
    reason: str
    source: str


@dataclass(frozen=True)
class Fault:
    """A program that fails; ``disk`` mounts one of these options at ``disk`` in its folder, ``limits`` are
    ``resource``'s, ``user``: it becomes nobody."""

    cause: str
    program: str
    limits: tuple[tuple[int, int], ...] = ()
    disk: str = ""
    user: bool = False
    env: tuple[tuple[str, str], ...] = ()


SERVER = """
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({code})
        for name, value in {headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_HEAD = do_GET
    def log_message(self, *_): pass
server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
import huggingface_hub
huggingface_hub.hf_hub_download(
    "somebody/model", "config.json", endpoint=f"http://127.0.0.1:{{server.server_port}}", cache_dir="cache",
    token="hf_" + "x" * 34)
"""
MODEL = """
import json, pathlib
from transformers import LlamaConfig, LlamaForCausalLM
small = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
             num_key_value_heads=2, vocab_size=32)
model = LlamaForCausalLM(LlamaConfig(**small))
model.save_pretrained("model")
folder = pathlib.Path("model")
from transformers import AutoModelForCausalLM
"""
CONFIG = """
config = json.loads((folder / "config.json").read_text())
config.update({changes})
(folder / "config.json").write_text(json.dumps(config))
AutoModelForCausalLM.from_pretrained("model")
"""
POINTER = (
    "version https://git-lfs.github.com/spec/v1\\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daa"
    "a5e2ca24d17e2393\\nsize 12345\\n"
)

CAUSED = {
    "memory_refused": Fault(
        "cpu_out_of_memory", "x = bytearray(1 << 31)", ((resource.RLIMIT_AS, 400 << 20),)
    ),
    "memory_refused_torch": Fault("cpu_out_of_memory", "import torch\nx = torch.zeros(1 << 44)"),
    "memory_limit_at_import": Fault("memory_limited", "import torch", ((resource.RLIMIT_AS, 300 << 20),)),
    "memory_limit_later": Fault("cpu_out_of_memory", "import torch", ((resource.RLIMIT_AS, 400 << 20),)),
    "killed": Fault(
        "killed", "import os, signal\nprint('step 1', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    ),
    "terminated": Fault(
        "terminated", "import os, signal\nprint('step 1', flush=True)\nos.kill(os.getpid(), signal.SIGTERM)"
    ),
    "crashed": Fault("crashed", "import ctypes, faulthandler\nfaulthandler.enable()\nctypes.string_at(0)"),
    "crashed_bus": Fault(
        "crashed",
        "import mmap\nf = open('f', 'w+b')\nf.truncate(8192)\nm = mmap.mmap(f.fileno(), 8192)\nf.truncate(0)\nprint(m[0])",
    ),
    "illegal_instruction": Fault(
        "illegal_instruction",
        "import ctypes, mmap\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(b'\\x0f\\x0b')\n"
        "ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()",
    ),
    "disk_full": Fault("disk_full", "open('disk/iter_10.pth', 'wb').write(bytes(4 << 20))", disk="size=1m"),
    "disk_full_torch": Fault(
        "disk_full", "import torch\ntorch.save(torch.zeros(1 << 20), 'disk/iter_10.pth')", disk="size=1m"
    ),
    "disk_full_safetensors": Fault(
        "disk_full",
        "import torch\nfrom safetensors.torch import save_file\nsave_file({'w': torch.zeros(1 << 20)}, 'disk/w.safetensors')",
        disk="size=1m",
    ),
    "quota": Fault(
        "quota",
        "import errno, os\nraise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), 'work_dir/iter_10.pth')",
    ),
    "permission": Fault("permission", "open('locked/scalars.json', 'w')", user=True),
    "read_only": Fault("read_only", "open('disk/scalars.json', 'w')", disk="ro"),
    "disk_error": Fault("disk_error", "open('/proc/self/mem', 'rb').read(1)"),
    "port_in_use": Fault(
        "port_in_use",
        "import socket\na = socket.create_server(('127.0.0.1', 0))\nsocket.create_server(a.getsockname())",
    ),
    "port_in_use_torch": Fault(
        "port_in_use",
        "import socket, torch.distributed as d\na = socket.create_server(('0.0.0.0', 0))\n"
        "d.TCPStore('127.0.0.1', a.getsockname()[1], 1, True)",
    ),
    "file_missing": Fault("file_missing", "open('data/rows.jsonl')"),
    "module_missing": Fault("module_missing", "import a_package_that_is_not_there"),
    "too_many_files": Fault(
        "too_many_files", "x = [open('/dev/null') for _ in range(99)]", ((resource.RLIMIT_NOFILE, 32),)
    ),
    "too_many_threads": Fault(
        "too_many_threads",
        "import threading, time, resource\nresource.setrlimit(resource.RLIMIT_NPROC, (1, 1))\nfor _ in range(99): threading.Thread(target=time.sleep, args=(1,), daemon=True).start()",
        user=True,
    ),
    "not_json": Fault("not_json", "import json\njson.loads('[{\"conversation\": [')"),
    "lfs_pointer": Fault(
        "damaged_weights",
        f"{MODEL}(folder / 'model.safetensors').write_text('{POINTER}')\nAutoModelForCausalLM.from_pretrained('model')",
    ),
    "lfs_pointer_bin": Fault(
        "lfs_pointer", f"import torch\nopen('w.bin', 'w').write('{POINTER}')\ntorch.load('w.bin')"
    ),
    "weights_truncated": Fault(
        "damaged_weights",
        f"{MODEL}file = folder / 'model.safetensors'\nfile.write_bytes(file.read_bytes()[:-100])\n"
        "AutoModelForCausalLM.from_pretrained('model')",
    ),
    "checkpoint_truncated": Fault(
        "damaged_checkpoint",
        "import torch\ntorch.save({'a': torch.zeros(9999)}, 'iter_10.pth')\n"
        "data = open('iter_10.pth', 'rb').read()\nopen('iter_10.pth', 'wb').write(data[:20000])\ntorch.load('iter_10.pth')",
    ),
    "checkpoint_damaged_inside": Fault(
        "damaged_checkpoint",
        "import torch\ntorch.save({'a': torch.zeros(9999)}, 'iter_10.pth')\n"
        "data = bytearray(open('iter_10.pth', 'rb').read())\ndata[20000:20100] = b'x' * 100\n"
        "data[64:200] = b'y' * 136\nopen('iter_10.pth', 'wb').write(data)\ntorch.load('iter_10.pth')",
    ),
    "foreign_checkpoint": Fault(
        "foreign_checkpoint",
        "import torch, pathlib, fractions\ntorch.save({'a': fractions.Fraction(1, 2)}, 'iter_10.pth')\ntorch.load('iter_10.pth')",
    ),
    "unknown_architecture": Fault(
        "wrong_architecture", MODEL + CONFIG.format(changes={"model_type": "newest"})
    ),
    "unknown_architecture_auto": Fault(
        "wrong_architecture",
        "from transformers import AutoModelForCausalLM, CLIPConfig\nCLIPConfig().save_pretrained('model')\n"
        "AutoModelForCausalLM.from_pretrained('model')",
    ),
    "model_config": Fault("model_config", MODEL + CONFIG.format(changes={"hidden_size": 65})),
    "shape_mismatch": Fault(
        "shape_mismatch", MODEL + CONFIG.format(changes={"hidden_size": 32, "head_dim": 16})
    ),
    "shape_mismatch_torch": Fault(
        "shape_mismatch",
        "import torch\ntorch.nn.Linear(4, 4).load_state_dict(torch.nn.Linear(4, 8).state_dict())",
    ),
    "model_files_missing": Fault(
        "model_files_missing",
        f"{MODEL}(folder / 'model.safetensors').unlink()\nAutoModelForCausalLM.from_pretrained('model')",
    ),
    "custom_code": Fault(
        "custom_code",
        MODEL
        + CONFIG.format(
            changes={
                "model_type": "own",
                "auto_map": {
                    "AutoConfig": "modeling_own.OwnConfig",
                    "AutoModelForCausalLM": "modeling_own.Own",
                },
            }
        ),
    ),
    "tokenizer_mismatch": Fault(
        "tokenizer_mismatch", "import torch\ntorch.nn.Embedding(10, 4)(torch.tensor([11]))"
    ),
    "template_roles": Fault(
        "template_mismatch",
        "from transformers.utils.chat_template_utils import render_jinja_template\n"
        "t = \"{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}\"\n"
        "render_jinja_template([[{'role': 'user', 'content': 'x'}]], chat_template=t)",
    ),
    "template_missing": Fault(
        "template_mismatch",
        "from transformers import PreTrainedTokenizerFast\nfrom tokenizers import Tokenizer, models\n"
        "t = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))\n"
        "t.apply_chat_template([{'role': 'user', 'content': 'x'}])",
    ),
    "no_rows_left": Fault(
        "dataset_empty",
        "from torch.utils.data import DataLoader\nDataLoader([], batch_size=1, shuffle=True)",
    ),
    "config_syntax": Fault(
        "config_error",
        "from mmengine.config import Config\nopen('config.py', 'w').write('lr = = 1\\n')\nConfig.fromfile('config.py')",
    ),
    "config_registry": Fault(
        "config_error",
        "from mmengine.registry import HOOKS\nHOOKS.build(dict(type='HookThatIsNowhere'))",
    ),
    "no_cuda": Fault("no_gpu", "import torch\ntorch.zeros(1).cuda()"),
    "deepspeed_mpi": Fault(
        "deepspeed_mpi", "import deepspeed\ndeepspeed.init_distributed(dist_backend='gloo')"
    ),
    "bitsandbytes_library": Fault(
        "bitsandbytes_library",
        "import bitsandbytes.cextension as c, glob, shutil, pathlib, sys\n"
        "shutil.copytree(pathlib.Path(c.__file__).parent, 'here/bitsandbytes', ignore=shutil.ignore_patterns('*.so'))\n"
        "import subprocess\n"
        "sys.exit(subprocess.run([sys.executable, '-c', 'import torch, bitsandbytes.functional as F; "
        'F.quantize_4bit(torch.zeros(64, 64), quant_type="nf4"); import bitsandbytes as b; '
        "b.cextension.lib.cquantize_blockwise_fp32()'], env={'PYTHONPATH': 'here'}).returncode)",
    ),
    "no_compiler": Fault(
        "no_compiler",
        "import torch\ntorch.compile(lambda x: x.sin() + 1)(torch.ones(99))",
        env=(("PATH", "/nowhere"), ("CXX", "no-such-compiler"), ("TORCHINDUCTOR_CACHE_DIR", "inductor")),
    ),
    "worker_killed": Fault(
        "worker_killed",
        "import os, signal\nfrom torch.utils.data import DataLoader, Dataset\n"
        "class Rows(Dataset):\n    def __len__(self): return 9\n"
        "    def __getitem__(self, i): os.kill(os.getpid(), signal.SIGKILL)\n"
        "for _ in DataLoader(Rows(), num_workers=1, multiprocessing_context='fork'): pass",
    ),
    "flash_attention": Fault(
        "flash_attention",
        f"{MODEL}AutoModelForCausalLM.from_pretrained('model', attn_implementation='flash_attention_2')",
    ),
    "loss_is_none_from_the_start": Fault(
        "nan_loss",
        "from types import SimpleNamespace\nimport torch\nfrom core.engine.divergence import _count\n"
        "w = SimpleNamespace()\nfor _ in range(40): _count(w, torch.tensor(float('nan')))",
    ),
    "hub_timeout": Fault(
        "hub_timeout",
        "import socket\nsilent = socket.create_server(('127.0.0.1', 0))\nimport huggingface_hub\n"
        "endpoint = f'http://127.0.0.1:{silent.getsockname()[1]}'\n"
        "huggingface_hub.HfApi(endpoint=endpoint).model_info('somebody/model', timeout=1)",
    ),
    "hub_out_of_reach": Fault(
        "hub_out_of_reach",
        "import huggingface_hub\nhuggingface_hub.HfApi(endpoint='http://hub.invalid').model_info('somebody/model')",
    ),
    "token_wrong": Fault("token_refused", SERVER.format(code=401, headers={})),
    "token_without_rights": Fault("token_refused", SERVER.format(code=403, headers={})),
    "gated": Fault(
        "gated_model",
        SERVER.format(
            code=403,
            headers={
                "X-Error-Code": "GatedRepo",
                "X-Error-Message": "Access to model somebody/model is restricted and you "
                "are not in the authorized list. Visit https://huggingface.co/somebody/model to ask for access.",
            },
        ),
    ),
    "plain_bug": Fault("unknown", "def step(rows):\n    return rows[0]['input']\nstep([{'text': 'x'}])"),
}


def record(name: str, fault: Fault) -> tuple[str, Recorded]:
    """Run it; its log and what became of it."""
    with tempfile.TemporaryDirectory(prefix="job.") as folder:
        place = Path(folder)
        place.chmod(0o777)
        (place / "locked").mkdir(mode=0o700)
        (place / "disk").mkdir()
        program = fault.program if not fault.user else AS_NOBODY + fault.program
        (place / "train.py").write_text(program, encoding="utf-8")
        if fault.disk:
            subprocess.run(
                ["/bin/mount", "-t", "tmpfs", "-o", fault.disk, "tmpfs", str(place / "disk")], check=True
            )
        try:
            with (place / "output.log").open("wb") as log:
                done = subprocess.run(
                    [sys.executable, "-W", "ignore", "train.py"],
                    cwd=place, stdout=log, stderr=subprocess.STDOUT, preexec_fn=_prepared(fault), check=False,
                    env={"PATH": os.environ["PATH"], "PYTHONPATH": str(HERE.parents[2]), "HOME": str(place),
                         "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1", **dict(fault.env)},
                    timeout=300,
                )  # fmt: skip
        finally:
            if fault.disk:
                subprocess.run(["/bin/umount", str(place / "disk")], check=True)
        text = (place / "output.log").read_text(encoding="utf-8", errors="replace")
        text = text.replace(str(place), f"{NEUTRAL}/job")
    text = re.sub(r"(/[\w./-]+?)?/\.venv/", f"{NEUTRAL}/.venv/", text)
    text = text.replace(str(HERE.parents[2]), NEUTRAL).replace(sys.base_prefix, "/usr")
    reason = failure(done.returncode, text.splitlines(), False, False) if done.returncode else Reason.finished
    ended = ending(done.returncode, reason, 1.0, 2.0)
    return text, Recorded(fault.cause, ended.code, ended.signal, ended.reason, "tests/record_failures.py")


def _prepared(fault: Fault) -> Callable[[], None]:
    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for limit, value in fault.limits:
            resource.setrlimit(limit, (value, value))

    return prepare


def main(names: list[str]) -> None:
    """Record those faults, by default all of them."""
    HERE.mkdir(parents=True, exist_ok=True)
    index = HERE / "index.json"
    known = {}
    with suppress(FileNotFoundError):
        known = json.loads(index.read_text(encoding="utf-8"))
    for name in names or CAUSED:
        text, found = record(name, CAUSED[name])
        (HERE / f"{name}.log").write_text(text, encoding="utf-8")
        known[name] = asdict(found)
        print(
            name, found.code, found.signal, found.reason, "|", (text.strip().splitlines() or [""])[-1][:150]
        )
    index.write_text(json.dumps(known, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
