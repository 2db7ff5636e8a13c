"""``docs/environment.md``: every environment variable that the program reads or sets, found in its code."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from core.workspace.paths import PROJECT
from scripts.documents.marked import filled, table

PAGE = "docs/environment.md"
NAME = re.compile(r"[A-Z][A-Z0-9_]{3,}")
# Words in capitals that stand where a variable's name does, and are none.
NO_VARIABLES = {"HEAD", "NAME", "ORPO", "SHA256SUMS", "SYSTEM_TEMPLATE"}
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
        "the dashboard's password with `--password`; taken out of the environment, which jobs inherit",
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
    "HF_HUB_DISABLE_XET": (
        "`1` where `HF_ENDPOINT` is set, and for downloads",
        "`1`: files go over plain HTTP, since a mirror has no Xet",
    ),
    "MODELSCOPE_ENDPOINT": (
        "ModelScope itself",
        "another address of ModelScope: its other site, or a mirror",
    ),
    "MODELSCOPE_API_TOKEN": ("none", "a token for private models of ModelScope"),
    "OPENXLAB_ENDPOINT": ("OpenXLab itself", "another address of OpenXLab's interface"),
    "OPENXLAB_OSS_ENDPOINT": ("OpenXLab's own", "another address of its file store"),
}
SYSTEM = {
    "LC_ALL": ("", "the language, where `TUNEBOARD_LANG` is not set; then `LC_MESSAGES`, then `LANG`"),
    "LC_MESSAGES": ("", "as `LC_ALL`"),
    "LANG": ("English", "as `LC_ALL`"),
    "USER": ("`tuneboard`", "who asked for a job, as its `job.json` says"),
    "XDG_CONFIG_HOME": ("`~/.config`", "where hub tokens are kept on a machine without a keyring"),
    "TMPDIR": ("`/tmp`", "where temporary files go; looked for in what is about to be published"),
    "DISPLAY": ("no screen", "whether there is a screen, and so a browser to open"),
    "WAYLAND_DISPLAY": ("no screen", "as `DISPLAY`"),
    "CUDA_VISIBLE_DEVICES": (
        "every GPU",
        "which GPUs there are for everything. Empty for a job whose recipe is for the processor",
    ),
    "MODEL": (
        "the published one",
        "another model for the published chat app: a folder beside it, or a repository",
    ),
    "PYTHONPATH": ("", "the scripts put the project before what it has"),
}
SET = {
    "TUNEBOARD_ACCESS": "`token`, `password` or `none`: how the server is told what its command line said",
    "TUNEBOARD_BROWSER": "`1`: the server opens a browser when it is up",
    "TUNEBOARD_ENGINE": "the module that does the heavy work; tests put a fast one in its place",
    "TUNEBOARD_SETUP": "`scripts/setup` tells itself that it holds the lock",
    "COLUMNS": "uv breaks its sentences where the terminal ends: the last lines of a log would be halves",
    "GOMP_SPINCOUNT": "20000: waiting threads sleep early, so that a busy neighbour does not slow everything",
    "HF_DATASETS_CACHE": "prepared rows stay in the training's own folder",
    "HF_HUB_DISABLE_PROGRESS_BARS": "a log is no terminal",
    "HF_HUB_DISABLE_TELEMETRY": "nothing is reported to anybody",
    "HF_HUB_OFFLINE": "`1` for every job but those that speak with a hub: nothing is fetched by the way",
    "HOME": "an empty folder for OpenXLab's client, which would keep its keys in a file of the real one",
    "MASTER_ADDR": "DeepSpeed alone in one process looks for MPI unless it is told where it stands",
    "MASTER_PORT": "as `MASTER_ADDR`",
    "RANK": "as `MASTER_ADDR`",
    "LOCAL_RANK": "as `MASTER_ADDR`",
    "WORLD_SIZE": "as `MASTER_ADDR`",
    "MKL_SERVICE_FORCE_INTEL": "XTuner's own setting: `convert` and `merge` fail without it on some machines",
    "MKL_THREADING_LAYER": "as `MKL_SERVICE_FORCE_INTEL`",
    "MODELSCOPE_API_MAX_RETRIES": "1: Tuneboard tries again itself, for as long as anything comes",
    "MODELSCOPE_DOWNLOAD_MAX_RETRIES": "as `MODELSCOPE_API_MAX_RETRIES`",
    "MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS": "as `MODELSCOPE_API_MAX_RETRIES`",
    "OMP_NUM_THREADS": "all cores that this process may use",
    "OPENXLAB_AK": "taken out for OpenXLab's client: its keys come through a pipe",
    "OPENXLAB_SK": "as `OPENXLAB_AK`",
    "PYTHONIOENCODING": "UTF-8, whatever the terminal has",
    "PYTHONUNBUFFERED": "a log is written as it is said",
    "PYTHONWARNINGS": "libraries' warnings to their authors stay out of the log",
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
        for name in _variables(_parsed(file), constants):
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
    """``GRACE_VARIABLE = "TUNEBOARD_STOP_GRACE"``, also several at once."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            target = node.targets[0]
            pairs = (
                zip(target.elts, node.value.elts, strict=True)
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                else [(target, node.value)]
            )
            for name, value in pairs:
                if (
                    isinstance(name, ast.Name)
                    and isinstance(value, ast.Constant)
                    and isinstance(value.value, str)
                ):
                    yield name.id, value.value


def _variables(tree: ast.Module, constants: dict[str, str]) -> Iterator[str]:
    for node in ast.walk(tree):
        for part in _named(node):
            if isinstance(part, ast.Name) and part.id in constants:
                part = ast.Constant(constants[part.id])
            if (
                isinstance(part, ast.Constant)
                and NAME.fullmatch(str(part.value))
                and part.value not in NO_VARIABLES
            ):
                yield str(part.value)


def _named(node: ast.AST) -> Iterator[ast.expr]:
    """What stands where a variable's name does: ``os.environ[X]``, ``.get(X)``, ``{X: value}``, ``X in``."""
    if isinstance(node, ast.Subscript):
        yield node.slice
    elif isinstance(node, ast.Call):
        if ast.unparse(node.func).split(".")[-1] in ASKING:
            yield from node.args[:1]
        yield from (word.value for word in node.keywords if word.arg == "variable")
    elif isinstance(node, ast.Dict):
        yield from (
            key
            for key, value in zip(node.keys, node.values, strict=True)
            if key and not isinstance(value, ast.Dict)
        )
    elif isinstance(node, ast.Compare):
        yield node.left
    elif isinstance(node, ast.comprehension | ast.Set):
        elements = node.iter if isinstance(node, ast.comprehension) else node
        yield from getattr(elements, "elts", ())
