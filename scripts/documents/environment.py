"""``docs/environment.md``: every environment variable that the program reads or sets, found in its code."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from core.workspace.paths import PROJECT
from scripts.documents.marked import filled, table

PAGE = "docs/environment.md"
NAME = re.compile(r"[A-Z][A-Z0-9_]{3,}")
# So written it is a variable wherever it stands, but for these.
SURELY = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
NO_VARIABLES = {
    *("CAUSAL_LM", "MODEL_NAME", "NAME", "ORPO", "PCI_BUS_ID", "SC_CLK_TCK", "SHA256SUMS"),
    *("SYSTEM", "SYSTEM_TEMPLATE", "USE_POLICY", "WORK_DIR", "PROFILE_NAME"),
    # Slurm's words for what a job does.
    *("BOOT_FAIL", "CANCELLED", "DEADLINE", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"),
    *("REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "STAGE_OUT"),
}
ASKING = {"get", "pop", "getenv", "setdefault"}
# What the scripts make for themselves is in small letters.
IN_A_SCRIPT = re.compile(r"\$\{?([A-Z][A-Z0-9_]{3,})")


# By name: what it is without being set, and what it means.
OURS = {
    "TUNEBOARD_HOME": ("`./workspace`", "the workspace; `--workspace` comes before it"),
    "TUNEBOARD_LANG": (
        "the terminal's language",
        "`en` or `zh`: the language of the command line, and of a page that has not chosen one. Jobs get the "
        "language of whoever asked",
    ),
    "TUNEBOARD_PASSWORD": (
        "asked for at the terminal",
        "the dashboard's password with `--password`; no job inherits it",
    ),
    "TUNEBOARD_PROXY": (
        "none is believed",
        "the IP address of a reverse proxy whose `X-Forwarded-For` is believed; `--proxy` comes before it",
    ),
    "TUNEBOARD_API_KEY": (
        "no key",
        "the key for the server that `data make documents --endpoint` asks; never written anywhere",
    ),
    "TUNEBOARD_STOP_GRACE": ("20", "seconds from the request to stop a job until it is killed"),
    "TUNEBOARD_HUB_PAUSE": (
        "0.5 for a download, 2 for publishing",
        "seconds before a hub that failed is asked again; longer each time",
    ),
    "TUNEBOARD_HF_MIRROR": (
        "`https://hf-mirror.com`",
        "the mirror asked where Hugging Face gives no answer and `HF_ENDPOINT` is not set; it gets no token. "
        "Empty: none is asked",
    ),
    "TUNEBOARD_HUB_CHECK": (
        "1",
        "`0`: the start page asks no hub whether it gives a better model before somebody presses a button",
    ),
    "TUNEBOARD_PYTHON": (
        "`python3.12`, `python3.11`, `python3`",
        "the Python that `scripts/setup` makes `.venv` with",
    ),
}
HUBS = {
    "HF_ENDPOINT": (
        "Hugging Face itself",
        "another address of Hugging Face: a mirror, for importing and publishing",
    ),
    "HF_TOKEN": ("none", "a token for private and gated models of Hugging Face; read by its client"),
    "HF_TOKEN_PATH": ("the client's own place", "a file with such a token"),
    "HUGGING_FACE_HUB_TOKEN": ("none", "the older name of `HF_TOKEN`"),
    "HF_HUB_DISABLE_XET": (
        "`1` where `HF_ENDPOINT` is set, and for downloads",
        "`1`: files go over plain HTTP, since a mirror has no Xet",
    ),
    "MODELSCOPE_ENDPOINT": (
        "ModelScope itself",
        "another address of ModelScope: its other site, or a mirror",
    ),
    "MODELSCOPE_API_TOKEN": ("none", "a token for private models of ModelScope"),
    "HTTPS_PROXY": ("none", "the proxy of every client; also in small letters, as the two below"),
    "HTTP_PROXY": ("none", "the same for addresses without encryption"),
    "ALL_PROXY": ("none", "the same for both"),
    "UV_DEFAULT_INDEX": ("uv's own", "where uv fetches the packages of OpenXLab's client from"),
    "UV_INDEX": ("", "as `UV_DEFAULT_INDEX`: another place beside it"),
    "UV_INDEX_URL": ("", "the older name of `UV_DEFAULT_INDEX`"),
    "UV_EXTRA_INDEX_URL": ("", "the older name of `UV_INDEX`"),
    "PIP_INDEX_URL": ("pip's own", "where pip fetches uv from"),
    "OPENXLAB_ENDPOINT": ("OpenXLab itself", "another address of OpenXLab's interface"),
    "OPENXLAB_OSS_ENDPOINT": ("OpenXLab's own", "another address of its file store"),
}
SYSTEM = {
    "LC_ALL": ("", "the language, where `TUNEBOARD_LANG` is not set; then `LC_MESSAGES`, then `LANG`"),
    "LC_MESSAGES": ("", "as `LC_ALL`"),
    "LANG": ("English", "as `LC_ALL`"),
    "XDG_CONFIG_HOME": ("`~/.config`", "where hub tokens are kept on a machine without a keyring"),
    "XDG_STATE_HOME": ("`~/.local/state`", "where is written down which disks a user's workspaces lie on"),
    "XDG_CACHE_HOME": ("`~/.cache`", "where a published chat app keeps its packages on Linux"),
    "LD_LIBRARY_PATH": ("the system's", "where a Python of a cluster's modules has its libraries"),
    "TMPDIR": ("`/tmp`", "where temporary files go; looked for in what is about to be published"),
    "DISPLAY": ("no screen", "whether there is a screen, and so a browser to open"),
    "WAYLAND_DISPLAY": ("no screen", "as `DISPLAY`"),
    "CUDA_VISIBLE_DEVICES": (
        "every GPU",
        "which GPUs there are for everything. Empty for a job whose recipe is for the processor",
    ),
    "SLURM_JOB_ID": ("not in Slurm", "in which of Slurm's jobs a process runs; Slurm sets it"),
    "SLURM_ARRAY_JOB_ID": ("no array", "of an array's job: which array's"),
    "SLURM_ARRAY_TASK_ID": ("no array", "of an array's job: its number there"),
    "SLURM_RESTART_COUNT": ("0", "how often Slurm began the job anew: after a failed node, or to make room"),
    "PET_MASTER_ADDR": (
        "none: one machine trains",
        "torchrun's own: the first of the machines of one training, where they meet; a cluster's job sets it",
    ),
    "PET_NODE_RANK": ("`SLURM_NODEID`", "the number of this machine among those of one training"),
    "SLURM_NODEID": ("0", "as `PET_NODE_RANK`, where Slurm has started it"),
    "MODEL": (
        "the published one",
        "another model for the published chat app: a folder beside it, or a repository",
    ),
    "PYTHONPATH": ("", "the scripts put the project before what it has"),
}
SET = {
    "TUNEBOARD_ACCESS": "`token`, `password` or `none`: how the server is told what its command line said",
    "TUNEBOARD_BROWSER": "`1`: the server opens a browser when it is up",
    "TUNEBOARD_DEVICES": "what holds devices tells whatever it starts, which then waits for none: the ticket "
    "and the devices' names; a scheduler that has allotted them sets it to its own name",
    "TUNEBOARD_ENGINE": "the module that does the heavy work; tests put a fast one in its place",
    "TUNEBOARD_JOB": "the folder in which a job's tool is to say how far it is",
    "TUNEBOARD_THREADS": "`said` where `OMP_NUM_THREADS` was set, else `free`: a training looks",
    "TUNEBOARD_SETUP": "`scripts/setup` tells itself that it holds the lock",
    "COLUMNS": "uv breaks its sentences where the terminal ends: the last lines of a log would be halves",
    "CUDA_DEVICE_ORDER": "`PCI_BUS_ID` for a job that has some of the GPUs: CUDA numbers them as NVML does",
    "DS_ACCELERATOR": "`cpu`: DeepSpeed trains on the processor",
    "GOMP_SPINCOUNT": "20000: waiting threads sleep early, so that a busy neighbour does not slow everything",
    "HF_DATASETS_CACHE": "prepared rows stay in the training's own folder",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "`1` for a mirror: the client sends it no token that lies in a file",  # nosec B105  # a sentence
    "HF_HUB_DISABLE_PROGRESS_BARS": "a log is no terminal",
    "HF_HUB_DISABLE_TELEMETRY": "nothing is reported to anybody",
    "HF_HUB_OFFLINE": "`1` for every job but those that speak with a hub: nothing is fetched by the way",
    "HOME": "`/` for a user who has no home; an empty folder for OpenXLab's client, which would keep its "
    "keys in a file of the real one",
    "LOGNAME": "the number of a user who has no name (`docker run --user 12345`): PyTorch asks for one",
    "MASTER_ADDR": "DeepSpeed alone in one process looks for MPI unless it is told where it stands",
    "MASTER_PORT": "as `MASTER_ADDR`",
    "PYTHONDONTWRITEBYTECODE": "a published chat app writes nothing onto the stick that it is started from",
    "RANK": "as `MASTER_ADDR`",
    "LOCAL_RANK": "as `MASTER_ADDR`",
    "WORLD_SIZE": "as `MASTER_ADDR`",
    "MKL_SERVICE_FORCE_INTEL": "XTuner's own setting: `convert` and `merge` fail without it on some machines",
    "MKL_THREADING_LAYER": "as `MKL_SERVICE_FORCE_INTEL`",
    "MODELSCOPE_API_MAX_RETRIES": "1: Tuneboard tries again itself, for as long as anything comes",
    "MODELSCOPE_DOWNLOAD_MAX_RETRIES": "as `MODELSCOPE_API_MAX_RETRIES`",
    "MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS": "as `MODELSCOPE_API_MAX_RETRIES`",
    "OMP_NUM_THREADS": "all cores that this process may use; a training takes the free ones",
    "OPENBLAS_NUM_THREADS": "one thread for a child that reads a stranger's file",
    "OPENXLAB_AK": "taken out for OpenXLab's client: its keys come through a pipe",
    "OPENXLAB_SK": "as `OPENXLAB_AK`",
    "NCCL_NVLS_ENABLE": "`0`: several GPUs do without multicast in NVLink's switches, for which a container "
    "often lacks the rights",
    "PYTHONIOENCODING": "UTF-8, whatever the terminal has",
    "PYTHONUNBUFFERED": "a log is written as it is said",
    "PYTHONUTF8": "1 in a session of another encoding (GBK, Latin-1): names of files stay UTF-8",
    "PYTHONWARNINGS": "libraries' warnings to their authors stay out of the log",
    "PET_NNODES": "how many nodes torchrun waits for, where a training runs on several",
    "GLOO_SOCKET_IFNAME": "of a training on several machines, unless it is set: the network that leads to "
    "the first of them; gloo takes the one that this machine's own name leads to, often the loopback's",
    "PET_MASTER_PORT": "as `PET_NNODES`: the port where they meet, by the job's number in Slurm",
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1 in the process that a chain's tools are forked from: "
    "whether there is a GPU is asked without beginning with it, which no fork could go on with",
    "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1: torch runs nothing that a file of weights holds, whoever asks",
    "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "taken out: it would allow that",
    "TRUST_REMOTE_CODE": "taken out: transformers would run what a tokenizer's files hold",
    "TOKENIZERS_PARALLELISM": "tokenizers do not start threads in a process that forks",
    "TORCHINDUCTOR_CACHE_DIR": "what torch compiles stays in the workspace; under `/tmp` anybody could write",
    "TQDM_DISABLE": "a log is no terminal",
    "TRANSFORMERS_OFFLINE": "Unsloth fetches nothing",
    "UNSLOTH_COMPILE_LOCATION": "what Unsloth writes stays in the workspace",
    "UNSLOTH_DISABLE_STATISTICS": "Unsloth reports nothing",
    "UNSLOTH_USE_MODELSCOPE": "taken out: Unsloth would fetch from there",
}


def pages() -> dict[str, str]:
    """The page. Raises ValueError for a variable without a row, and for a row without its variable."""
    places = found()
    tables = (OURS, HUBS, SYSTEM, SET)
    rows = [name for rows in tables for name in rows]
    if sorted(rows) != sorted(places):
        wrong = sorted({*rows} ^ {*places}) or sorted(rows)
        raise ValueError(
            f"scripts/documents/environment.py and the code do not name the same variables: {wrong}"
        )
    parts = {
        name: _settable(rows, places) for name, rows in (("ours", OURS), ("hubs", HUBS), ("system", SYSTEM))
    }
    set_by_us = [[f"`{name}`", SET[name], _where(places[name])] for name in sorted(SET)]
    return {PAGE: filled(PAGE, {**parts, "set": table(["variable", "why", "where"], set_by_us)})}


def _settable(rows: Mapping[str, tuple[str, str]], places: Mapping[str, set[str]]) -> str:
    cells = [
        [f"`{name}`", default, meaning, _where(places[name])] for name, (default, meaning) in rows.items()
    ]
    return table(["variable", "without it", "what it means", "where"], cells)


def _where(files: set[str]) -> str:
    """At most three files."""
    named = sorted(files, key=lambda file: (file.startswith("scripts/"), file))
    return ", ".join(f"`{file}`" for file in named[:3]) + (" …" if len(named) > 3 else "")


def found() -> dict[str, set[str]]:
    """Each variable with the files that name it as one, from the project's root."""
    places: dict[str, set[str]] = {}
    constants = {name: value for file in _modules() for name, value in _constants(_parsed(file))}
    for file in _modules():
        for name in {*_variables(_parsed(file), constants)} - NO_VARIABLES:
            places.setdefault(name, set()).add(str(file.relative_to(PROJECT)))
    for file in [*(PROJECT / "scripts").iterdir(), *(PROJECT / ".ci").iterdir()]:
        if file.is_file() and not file.suffix:
            for name in IN_A_SCRIPT.findall(file.read_text(encoding="utf-8")):
                places.setdefault(name, set()).add(str(file.relative_to(PROJECT)))
    return places


def _modules() -> list[Path]:
    folders = ("core", "ui", "pages", "demo", "scripts")
    here = Path(__file__).parent
    files = sorted(file for name in folders for file in (PROJECT / name).rglob("*.py") if file.parent != here)
    return [PROJECT / "app.py", *files]


def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """``DISPLAY_VARIABLE = "DISPLAY"``, by the constant's name."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            yield ast.unparse(node.targets[0]), str(node.value.value)


def _variables(tree: ast.Module, constants: dict[str, str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and SURELY.fullmatch(str(node.value)):
            yield str(node.value)
        for part in _named(node):
            text = constants.get(part.id, "") if isinstance(part, ast.Name) else _text(part)
            if NAME.fullmatch(text):
                yield text


def _text(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ""


def _named(node: ast.AST) -> Iterator[ast.expr]:
    """Where a single word is a variable too: ``environ[X]``, ``.get(X)``, ``{X: 1}``, ``for … in (X,)``."""
    if isinstance(node, ast.Subscript):
        yield node.slice
    elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ASKING:
        yield from node.args[:1]
    elif isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        yield from (key for key, value in pairs if key and not isinstance(value, ast.Dict))
    elif isinstance(node, ast.comprehension):
        yield from getattr(node.iter, "elts", ())
