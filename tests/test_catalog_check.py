"""``python -m scripts.catalog``: the list held against hubs on this machine that speak as the real ones."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.models.catalog import Entry
from core.models.folder import read_model
from core.workspace.paths import PROJECT
from tests.command_line import environment
from tests.hub_server import Fault, Hub, serving
from tests.small_model import HEADS, HIDDEN, INNER, KV_HEADS, LAYERS, VOCABULARY, make_small_model

OPEN, GATED = "org/Open-Model", "org/Gated-Model"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    card = {"cardData": {"license": "apache-2.0"}, "gated": False}
    models = {OPEN: make_small_model(tmp_path / "open"), GATED: make_small_model(tmp_path / "gated")}
    cards = {OPEN: card, GATED: {"cardData": {"license": "gemma"}, "gated": "manual"}}
    with serving(Hub(models, cards=cards)) as found:
        yield found


def entry_of(name: str, folder: Path, **changed: Any) -> Entry:
    """A model of the list as the small model in ``folder`` is."""
    model = read_model(folder)
    shape = (LAYERS, HIDDEN, INNER, HEADS, KV_HEADS, HIDDEN // HEADS, VOCABULARY)
    fields = ("layers", "hidden", "intermediate", "heads", "kv_heads", "head_dim", "vocabulary")
    values = {
        **{"name": name.lower(), "huggingface": name, "modelscope": name, "licence": "apache-2.0"},
        **{"gated": False, "languages": ("en",), "well": ("en",), "thinks": False},
        **{"architecture": model.architecture, "model_type": model.model_type},
        **dict(zip(fields, shape, strict=True)),
        **{"parameters": model.parameters, "size": model.size},
    }
    return Entry(**{**values, **changed})


def check(
    tmp_path: Path, hub: Hub, *entries: Entry, given: tuple[str, ...] = (), **added: str
) -> tuple[int, str, Path]:
    """The script's exit code, its words and the list that it read."""
    file = tmp_path / "list.json"
    file.write_text(json.dumps({"date": "2020-01-01", "models": [asdict(entry) for entry in entries]}))
    done = subprocess.run(
        [sys.executable, "-m", "scripts.catalog", "--list", str(file), *given],
        cwd=PROJECT,
        env=environment(**{**hub.environment(HF_HOME=str(tmp_path / "hf"), TUNEBOARD_LANG="en"), **added}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, file


def test_all_is_as_listed(tmp_path: Path, hub: Hub) -> None:
    entry = entry_of(OPEN, hub.models[OPEN])
    code, said, file = check(tmp_path, hub, entry, given=("--stamp",))
    assert (code, said.splitlines()) == (
        0,
        [f"✓ huggingface:{OPEN}: as listed", f"✓ modelscope:{OPEN}: as listed"],
    )
    assert json.loads(file.read_text())["date"] == datetime.now(UTC).date().isoformat()
    assert not [asked for asked in hub.asked if "safetensors" in asked[1]], "no weights are fetched for it"


def test_what_is_not_as_listed(tmp_path: Path, hub: Hub) -> None:
    wrong = entry_of(OPEN, hub.models[OPEN], layers=3, licence="mit", size=10, gated=True)
    gone = entry_of("org/Gone", hub.models[OPEN])
    code, said, file = check(tmp_path, hub, wrong, gone, given=("--hub", "huggingface", "--stamp"))
    size = read_model(hub.models[OPEN]).size
    assert code == 1 and said.splitlines() == [
        f"✗ huggingface:{OPEN}: size: 10 is listed, {size} found",
        f"✗ huggingface:{OPEN}: licence: mit is listed, apache-2.0 found",
        f"✗ huggingface:{OPEN}: gated: True is listed, False found",
        f"✗ huggingface:{OPEN}: num_hidden_layers: 3 is listed, {LAYERS} found",
        "✗ huggingface:org/Gone: the hub has no such model, or it is private: check the name; for a private "
        "model put your token into HF_TOKEN",
    ]
    assert "2020-01-01" in file.read_text(), "a wrong list keeps its date"


def test_the_numbers_of_a_gated_model_stay_unchecked(tmp_path: Path, hub: Hub) -> None:
    """Without a token nobody gets its config; the rest is known."""
    hub.faults.append(Fault(f"/{GATED}/resolve/", status=403, headers={"X-Error-Code": "GatedRepo"}))
    entry = entry_of(GATED, hub.models[GATED], gated=True, licence="gemma")
    code, said, _ = check(tmp_path, hub, entry, given=("--hub", "huggingface"))
    assert code == 0, said
    assert said.splitlines()[0].startswith(f"• huggingface:{GATED}: its numbers were not checked: access to")


def test_one_hub_alone_is_enough_and_the_other_is_named(tmp_path: Path, hub: Hub) -> None:
    dead = "http://127.0.0.1:9"
    code, said, _ = check(tmp_path, hub, entry_of(OPEN, hub.models[OPEN]), HF_ENDPOINT=dead)
    assert code == 0 and f"✓ modelscope:{OPEN}: as listed" in said
    assert said.startswith(f"✗ huggingface: cannot connect to {dead}")


def test_no_hub_no_check(tmp_path: Path, hub: Hub) -> None:
    dead = "http://127.0.0.1:9"
    entry = entry_of(OPEN, hub.models[OPEN])
    code, said, file = check(
        tmp_path, hub, entry, given=("--stamp",), HF_ENDPOINT=dead, MODELSCOPE_ENDPOINT=dead
    )
    assert code == 2 and said.endswith("No hub could be reached: nothing was checked.\n")
    assert "2020-01-01" in file.read_text()
