"""The final test of what was tuned elsewhere: an adapter of somebody's, or a merged model."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from core.errors import InvalidName, NotAModel, NotAnAdapter
from core.models.fitted import fitted_in
from core.models.folder import read_model
from core.pipeline.foreign import ForeignRequest, begun, results, score_in, subject_of, voices
from core.workspace.files import read_json
from core.workspace.paths import Workspace
from tests.adapters import make_recorded, recorded
from tests.command_line import cli, last_json
from tests.small_model import CHAT_TEMPLATE, make_small_model

OTHER = CHAT_TEMPLATE.replace("im_start", "im_end")


def asked(model: Path, **more: Any) -> ForeignRequest:
    return ForeignRequest(str(model), "小 明", **more)


def prove(workspace: Workspace, model: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    options = ("--base", model, "--workspace", workspace.root, *words)
    return cli("prove", *options, cwd=workspace.root, TUNEBOARD_ENGINE="tests.fake_engine")


def test_an_adapter_is_proved_on_its_base(workspace: Workspace, model: Path, tmp_path: Path) -> None:
    adapter = make_recorded(tmp_path / "their adapter", model, "ms_swift")
    before = {file: file.read_bytes() for file in adapter.iterdir()}
    found = last_json(prove(workspace, model, "--adapter", adapter, "--name", "小 明", "--json"))
    assert (found["adapter"], found["tool"]) == (str(adapter), "ms-swift")
    assert found["system"] == "You are a helpful assistant."
    assert 0 <= found["learned"] <= 1
    assert found["answers"]
    assert read_json(Path(found["result"])) == {k: v for k, v in found.items() if k != "schema"}
    assert before == {file: file.read_bytes() for file in adapter.iterdir()}
    assert not [file for file in workspace.foreign.rglob("*.safetensors") if not file.is_symlink()]
    assert [place.id for place, _ in results(workspace)] == [found["id"]]
    assert score_in("小 明", found["answers"]).learned.value == pytest.approx(found["learned"], abs=1e-4)


def test_its_result_is_shown_with_intervals(workspace: Workspace, model: Path, tmp_path: Path) -> None:
    adapter = make_recorded(tmp_path / "a", model, "unsloth")
    shown = prove(workspace, model, "--adapter", adapter, "--name", "Zoë", "--system", "").stdout
    assert "95% interval" in shown and "unsloth/llama-3.2-3b-instruct-bnb-4bit" in shown


def test_a_merged_model_is_proved(workspace: Workspace, model: Path, tmp_path: Path) -> None:
    merged = make_small_model(tmp_path / "merged", seed=3)
    found = last_json(prove(workspace, model, "--merged", merged, "--name", "Zoë", "--json"))
    assert (found["adapter"], found["merged"]) == (None, str(merged))


@pytest.mark.parametrize("words", [[], ["--adapter", "a", "--merged", "b"]])
def test_one_of_both_is_asked_for(words: list[str], workspace: Workspace, model: Path) -> None:
    done = prove(workspace, model, "--name", "Zoë", *words)
    assert done.returncode == 2 and "either --adapter or --merged" in done.stderr


def test_what_does_not_fit_is_told_before_anything_is_written(
    workspace: Workspace, model: Path, tmp_path: Path
) -> None:
    adapter = make_recorded(tmp_path / "a", model, "trl", peft_type="PREFIX_TUNING")
    with pytest.raises(NotAnAdapter):
        subject_of(workspace, asked(model, adapter=adapter))
    with pytest.raises(NotAModel):
        subject_of(workspace, asked(model, merged=adapter))
    with pytest.raises(InvalidName):
        subject_of(workspace, ForeignRequest(str(model), "\n", adapter))
    assert not workspace.foreign.exists()


def test_an_adapter_with_a_template_is_asked_with_it_and_the_base_with_its_own(
    workspace: Workspace, model: Path, tmp_path: Path
) -> None:
    adapter = make_recorded(tmp_path / "a", model, "llama_factory")
    (adapter / "chat_template.jinja").write_text(OTHER)
    subject = subject_of(workspace, asked(model, adapter=adapter))
    found = voices(begun(workspace, subject), subject)
    assert found.prompt_format.template == "own"
    assert found.base == model
    assert (found.tuned / "chat_template.jinja").read_text() == OTHER


def test_a_base_without_a_template_is_asked_with_the_adapters(workspace: Workspace, tmp_path: Path) -> None:
    bare = make_small_model(tmp_path / "bare")
    settings = json.loads((bare / "tokenizer_config.json").read_text())
    del settings["chat_template"]
    (bare / "tokenizer_config.json").write_text(json.dumps(settings))
    adapter = make_recorded(tmp_path / "a", bare, "trl")
    (adapter / "chat_template.jinja").write_text(OTHER)
    subject = subject_of(workspace, asked(bare, adapter=adapter))
    found = voices(begun(workspace, subject), subject)
    voiced = fitted_in(found.base)
    assert voiced is not None and voiced.adapter is None
    assert (found.base / "chat_template.jinja").read_text() == OTHER


def test_a_merged_model_without_a_template_is_asked_with_the_bases(
    workspace: Workspace, model: Path, tmp_path: Path
) -> None:
    merged = tmp_path / "merged"
    shutil.copytree(model, merged)
    settings = json.loads((merged / "tokenizer_config.json").read_text())
    (merged / "tokenizer_config.json").write_text(
        json.dumps({key: value for key, value in settings.items() if key != "chat_template"})
    )
    subject = subject_of(workspace, asked(model, merged=merged))
    found = voices(begun(workspace, subject), subject)
    assert (found.tuned / "chat_template.jinja").read_text() == CHAT_TEMPLATE
    assert read_model(found.base).folder == model


def test_the_makers_system_prompt_gives_way_to_ones_own(
    workspace: Workspace, model: Path, tmp_path: Path
) -> None:
    adapter = make_recorded(tmp_path / "a", model, "ms_swift")
    assert subject_of(workspace, asked(model, adapter=adapter)).system == "You are a helpful assistant."
    assert subject_of(workspace, asked(model, adapter=adapter, system="")).system == ""
    assert recorded()["ms_swift"]["args.json"]["system"]
