"""The publish page: what is ready, the card, the files, the token, and the sending as a job."""

import io
import json
import os
import shutil
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import wait
from core.jobs.status import State
from core.publish import command, disks, tokens
from core.publish.places import note
from core.publish.request import PublishRequest
from core.publish.usage import ollama_name
from core.workspace.files import write_json
from core.workspace.paths import RunPaths, Workspace
from core.workspace.publish_paths import PublishPaths
from core.workspace.publish_paths import published as default_place
from tests.page import open_test_page
from tests.publishable import make_publishable, published, without_keyring
from tests.runs import make_run
from ui.shell import download

TIMEOUT = 120


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    without_keyring(monkeypatch, tmp_path)
    monkeypatch.setattr(disks.psutil, "disk_partitions", lambda **_: [])  # nobody's stick is written to
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    monkeypatch.setenv("TUNEBOARD_HOME", str(tmp_path / "工作 区" / "it's a b"))
    return Workspace.of()


@pytest.fixture
def run(workspace: Workspace) -> RunPaths:
    return make_publishable(workspace, "李 明")


def open_page(run: RunPaths, language: str = "en", **choices: object) -> AppTest:
    """The page with these widgets set."""
    page = open_test_page("publish", run.id, language)
    for key, value in {"publish_what": "merged", **choices}.items():
        widgets = (*page.get("button_group"), *page.text_input, *page.radio)
        next(w for w in widgets if w.key == key).set_value(value)
        page.run()
    assert not page.exception
    return page


def button(page: AppTest, key: str) -> object:
    return next(one for one in page.button if one.key == key)


def main_buttons(page: AppTest) -> list[str]:
    """What the primary ones are called, links too, without a size."""
    pressed = [*page.button, *page.get("link_button")]
    return [one.proto.label.partition(" (")[0] for one in pressed if one.proto.type == "primary"]


def press(page: AppTest, key: str) -> AppTest:
    button(page, key).click().run()  # type: ignore[attr-defined]
    return page


def test_nothing_is_ready(workspace: Workspace) -> None:
    assert "Nothing is made yet" in open_test_page("publish").info[0].value
    page = open_test_page("publish", make_run(workspace, "A").id)
    assert "A's assistant is not finished" in page.info[0].value
    assert "publish" not in [one.key for one in page.button], "what could be published is not there"


def test_it_is_looked_at_first_and_then_published(workspace: Workspace, run: RunPaths) -> None:
    page = press(open_page(run), "prepare")
    assert wait(run.job("publish"), timeout=TIMEOUT).state is State.finished
    assert not (workspace.root / "published").exists()
    page = open_page(run)
    assert "11 files" in next(box.label for box in page.expander if "files" in box.label)
    press(page, "publish")
    assert wait(run.job("publish"), timeout=TIMEOUT).state is State.finished
    page = open_page(run)
    assert page.success[-1].value == f"Copied to {default_place(workspace, '李 明', 'merged')}"
    assert (default_place(workspace, "李 明", "merged") / "model.safetensors").exists()


def test_what_went_onto_a_stick_that_was_pulled_out_is_not_offered_first_again(run: RunPaths) -> None:
    request = PublishRequest("merged", "folder")
    assert main_buttons(open_page(run)) == ["Copy"]
    note(run, request, {"where": "/media/ada/STICK/Ada"})
    assert main_buttons(open_page(run)) == []
    os.utime(run.merged / "model.safetensors", (time.time() + 9,) * 2)
    assert main_buttons(open_page(run)) == ["Copy"], "the model was made again"


def test_what_should_not_leave_is_shown(workspace: Workspace, run: RunPaths) -> None:
    PublishPaths(run).card("merged").parent.mkdir(parents=True)
    PublishPaths(run).card("merged").write_text(
        f"---\nlicense: mit\n---\nsee {workspace.root}", encoding="utf-8"
    )
    press(open_page(run), "publish")
    assert wait(run.job("publish"), timeout=TIMEOUT).state is State.failed
    page = open_page(run, "zh")
    assert any("不应离开本机" in one.value for one in page.error)
    assert any("README.md" in one.value and "重新发布" in one.value for one in page.error), (
        "in the reader's words"
    )
    assert not (workspace.root / "published").exists()


def test_a_hub_needs_a_repository_and_a_token(workspace: Workspace, run: RunPaths) -> None:
    page = open_page(run, publish_to="huggingface")
    assert button(page, "publish").disabled  # type: ignore[attr-defined]
    page = open_page(run, publish_to="huggingface", publish_repo="ada/x")
    assert button(page, "publish").disabled  # type: ignore[attr-defined]
    assert "It will be ada/x on Hugging Face, and only you can see it." in captions(page).replace("\\", "")
    field = next(one for one in page.text_input if one.key == "token of huggingface")
    field.set_value("hf_secret")
    press(page, "FormSubmitter:token huggingface-Save token")
    assert tokens.read("huggingface") == "hf_secret"
    assert not button(page, "publish").disabled  # type: ignore[attr-defined]
    assert not [one for one in page.text_input if one.value == "hf_secret"], "never shown again"
    press(page, "forget huggingface")
    assert tokens.read("huggingface") is None


def test_openxlab_has_two_keys_and_takes_an_app_by_git(workspace: Workspace, run: RunPaths) -> None:
    page = open_page(run, publish_to="openxlab", publish_repo="ada/x")
    assert button(page, "publish").disabled  # type: ignore[attr-defined]
    fields = {one.key: one for one in page.text_input if one.key and one.key.endswith("key of openxlab")}
    fields["access key of openxlab"].set_value("an-ak")
    press(page, "FormSubmitter:token openxlab-Save token")
    assert tokens.read("openxlab") is None, "one key is not enough"
    fields = {one.key: one for one in page.text_input if one.key and one.key.endswith("key of openxlab")}
    fields["access key of openxlab"].set_value("an-ak")
    fields["secret key of openxlab"].set_value(" an-sk ")
    press(page, "FormSubmitter:token openxlab-Save token")
    assert tokens.read("openxlab") == "an-ak an-sk" and tokens.kept() == ["an-ak", "an-sk"]
    assert not button(page, "publish").disabled  # type: ignore[attr-defined]
    tokens.forget("openxlab")
    page = open_page(run, publish_what="app", publish_to="openxlab")
    assert not button(page, "publish").disabled, "made ready, with Git's commands"  # type: ignore[attr-defined]
    assert not [one for one in page.text_input if "openxlab" in str(one.key)]


def test_where_it_was_published_is_listed(workspace: Workspace, run: RunPaths) -> None:
    assert not [box for box in open_page(run).expander if "so far" in box.label]
    published(workspace, run, PublishRequest("adapter"))
    page = open_page(run)
    assert page.dataframe[-1].value["Downloaded and tested"].tolist() == ["not needed"]
    assert "Published so far: 1" in [box.label for box in page.expander]
    rows = page.dataframe[-1].value.to_dict("records")
    assert [(row["What"], row["To"], row["Where"]) for row in rows] == [
        ("Adapter", "Folder or memory stick", str(default_place(workspace, "李 明", "adapter")))
    ]


def links(page: AppTest) -> dict[str, str]:
    return {one.proto.label: one.proto.url for one in page.get("link_button")}


def code(page: AppTest) -> str:
    return "\n".join(one.value for one in page.code)


def test_a_zip_is_downloaded_and_says_how_it_is_used(workspace: Workspace, run: RunPaths) -> None:
    page = open_page(run, publish_to="zip")
    assert not links(page) and "ollama" not in code(page)
    assert "The file will be called 李-明-merged.zip." in captions(page).replace("\\", "")
    press(page, "publish")
    assert wait(run.job("publish"), timeout=TIMEOUT).state is State.finished
    page = open_page(run, publish_to="zip")
    (address,) = links(page).values()
    response = TestClient(Starlette(routes=download.routes(""))).get(f"/{address}")
    archive = zipfile.ZipFile(io.BytesIO(response.content))
    top = default_place(workspace, "李 明", "merged").name
    assert archive.testzip() is None and f"{top}/Modelfile" in archive.namelist()
    assert f'cd "{top}"\nollama create assistant -f Modelfile' in code(page)


def test_what_came_of_one_choice_is_not_said_of_another(workspace: Workspace, run: RunPaths) -> None:
    press(open_page(run, publish_to="zip"), "publish")
    assert wait(run.job("publish"), timeout=TIMEOUT).state is State.finished
    assert "ZIP is ready" in open_page(run, publish_to="zip").success[0].value
    for others in ({"publish_to": "folder"}, {"publish_to": "zip", "publish_what": "adapter"}):
        page = open_page(run, **others)
        assert not page.success and not links(page), others
    press(open_page(run, publish_to="folder"), "publish")
    assert wait(run.job("publish"), timeout=TIMEOUT).state is State.finished
    page = open_page(run, publish_to="zip")
    assert not page.success and links(page), "the zip is still there, whatever was made last"


def test_a_failure_of_one_choice_is_not_shown_beside_another(run: RunPaths) -> None:
    PublishPaths(run).card("merged").parent.mkdir(parents=True)
    PublishPaths(run).card("merged").write_text("---\nlicense: mit\n---\nsee /home/ada/x", encoding="utf-8")
    press(open_page(run), "publish")
    assert wait(run.job("publish"), timeout=TIMEOUT).state is State.failed
    assert open_page(run).error and not open_page(run, publish_what="adapter").error


def test_a_zip_of_an_earlier_model_says_so(workspace: Workspace, run: RunPaths) -> None:
    """And which of the two is the page's one main button: to take it, or to make it."""
    published(workspace, run, PublishRequest("merged", to="zip"))
    page = open_page(run, publish_to="zip")
    assert not [one for one in page.warning if "merged again" in one.value]
    assert main_buttons(page) == ["Download"]
    later = time.time() + 100
    os.utime(run.merged / "model.safetensors", (later, later))
    file = default_place(workspace, "李 明", "merged")
    os.utime(file.with_name(f"{file.name}.zip"), (1e9, 1e9))
    page = open_page(run, publish_to="zip")
    assert [one for one in page.warning if "merged again" in one.value]
    assert main_buttons(page) == ["Make the ZIP"]


def mounted(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """What the machine has mounted: these, and what every machine has."""
    usual = [SimpleNamespace(mountpoint=name, fstype="ext4") for name in ("/", "/home", "/boot", "/dev")]
    here = [SimpleNamespace(mountpoint=str(folder), fstype="vfat") for folder in folders]
    monkeypatch.setattr(disks.psutil, "disk_partitions", lambda **_: [*usual, *here])


@pytest.fixture
def stick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A memory stick that is plugged in."""
    folder = tmp_path / "media" / "ada" / "KINGSTON 8"
    folder.mkdir(parents=True)
    mounted(monkeypatch, tmp_path, folder, folder / "gone")
    return folder


def captions(page: AppTest) -> str:
    return "\n".join(one.value for one in page.caption)


def test_without_a_memory_stick_it_is_said_what_was_looked_for(
    run: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted(monkeypatch)
    page = open_page(run)
    assert page.radio[1].options == ["This machine's own disk", "Another folder"]
    assert "everything mounted" in captions(page) and "ZIP to download" in captions(page)
    assert main_buttons(page) == ["Copy"]


def test_a_memory_stick_that_is_plugged_in_is_offered(run: RunPaths, stick: Path) -> None:
    page = open_page(run)
    radio = page.radio[1]
    offered = [name.partition(" (")[0] for name in radio.options]
    assert offered == ["This machine's own disk", "KINGSTON 8", "Another folder"]
    assert "everything mounted" not in captions(page)
    press(radio.set_value(str(stick)).run(), "publish")
    assert wait(run.job("publish"), timeout=TIMEOUT).state is State.finished
    (copied,) = stick.iterdir()
    assert (copied / "model.safetensors").exists()
    page = open_page(run)
    page.radio[1].set_value(str(stick)).run()
    assert page.success[0].value == f"Copied to {copied}" and f'cd "{copied}"' in code(page)


def test_after_a_copy_it_is_said_what_comes_next(run: RunPaths, stick: Path) -> None:
    """Eject, carry, open the page that explains it; what the other computer needs, and how long it takes."""
    page = open_page(run, publish_what="app")
    page.radio[1].set_value(str(stick)).run()
    promised = stick / default_place(run.workspace, "李 明", "app").name
    assert str(promised) in captions(page).replace("\\", "") and "from about 10 seconds" in captions(page)
    press(page, "publish")
    assert wait(run.job("publish"), timeout=TIMEOUT).state is State.finished
    assert [*stick.iterdir()] == [promised], "what was promised"
    page = open_page(run, publish_what="app")
    page.radio[1].set_value(str(stick)).run()
    said = next(one.value for one in page.markdown if one.value.startswith("1. "))
    words = ("Eject", promised.name, "READ-ME-FIRST.html", "Python 3.11", "2 to 4 minutes")
    places = [said.replace("\\", "").index(word) for word in words]
    assert places == sorted(places) and not main_buttons(page), "it is there: nothing has to be pressed"
    page.radio[1].set_value("").run()
    assert not [one for one in page.markdown if one.value.startswith("1. ")] and main_buttons(page) == [
        "Copy"
    ]


def test_what_stands_where_the_copy_would_go_is_said_before_the_press(run: RunPaths, stick: Path) -> None:
    page = open_page(run)
    press(page.radio[1].set_value(str(stick)).run(), "publish")
    assert wait(run.job("publish"), timeout=TIMEOUT).state is State.finished
    (copied,) = stick.iterdir()
    compiled = copied / "__pycache__" / "loops.cpython-311.pyc"
    compiled.parent.mkdir()
    for written_by_itself in (compiled, copied / ".DS_Store"):
        written_by_itself.touch()
    page = open_page(run)
    page.radio[1].set_value(str(stick)).run()
    assert not button(page, "publish").disabled  # type: ignore[attr-defined]
    (copied / "letter.txt").touch()
    page.run()
    assert any("contains something else" in one.value for one in page.warning)
    assert button(page, "publish").disabled  # type: ignore[attr-defined]


def test_the_one_stick_that_is_plugged_in_is_where_it_goes(
    run: RunPaths, stick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disks, "DESKTOPS", (stick.parent.parent,))
    page = open_page(run)
    assert page.radio[1].value == str(stick) and str(stick) in captions(page)
    data = tmp_path / "mnt" / "data"
    data.mkdir(parents=True)
    mounted(monkeypatch, stick, data)
    assert open_page(run).radio[1].value == str(stick), "nobody has plugged in the other disk"
    second = stick.with_name("SECOND")
    second.mkdir()
    mounted(monkeypatch, stick, second)
    assert open_page(run).radio[1].value == "", "which of two nobody knows"


def test_a_memory_stick_that_cannot_be_written_is_not_passed_over(
    run: RunPaths, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disks, "DESKTOPS", (stick.parent.parent,))
    monkeypatch.setattr(disks, "_closed", lambda folder: "no permission" if folder == stick else "")
    page = open_page(run, "zh")
    assert len(page.radio[1].options) == 2 and "KINGSTON 8 已插好，但不能写入：no permission" in captions(
        page
    )


def named(run: RunPaths, text: str) -> AppTest:
    """The page with a folder typed in."""
    page = open_page(run)
    page.radio[1].set_value("other").run()
    assert "Enter the whole path" in page.info[-1].value and not main_buttons(page)
    next(one for one in page.text_input if one.key == "publish_folder").set_value(text)
    return page.run()


def test_a_folder_of_one_s_own(run: RunPaths, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "备份 a")
    (tmp_path / "备份 a").mkdir()
    page = named(run, f"  {tmp_path / 'link'} ")
    copied = tmp_path / "备份 a" / default_place(run.workspace, "李 明", "merged").name
    assert str(copied) in captions(page).replace("\\", ""), "where it really is"
    press(page, "publish")
    assert wait(run.job("publish"), timeout=TIMEOUT).state is State.finished
    assert (copied / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("text", "said"), [("../..", "not a whole path"), ("{workspace}/runs", "inside the workspace")]
)
def test_a_folder_that_is_no_place_to_copy_to(
    workspace: Workspace, run: RunPaths, text: str, said: str
) -> None:
    page = named(run, text.format(workspace=workspace.root))
    assert said in page.warning[-1].value and not main_buttons(page)


def test_a_stick_that_is_too_small_is_said_before_anything_is_made(
    run: RunPaths, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = shutil.disk_usage

    def usage(folder: Path) -> object:
        return SimpleNamespace(free=1000) if stick in (folder, *Path(folder).parents) else whole(folder)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    page = open_page(run)
    page.radio[1].set_value(str(stick)).run()
    said = [one.value for one in page.warning if "KINGSTON 8" in one.value]
    assert said and "only 1 kB free" in said[0]
    assert button(page, "publish").disabled  # type: ignore[attr-defined]
    page.radio[1].set_value("").run()
    assert not button(page, "publish").disabled, "what is said belongs to what is chosen"  # type: ignore[attr-defined]


def test_what_somebody_wants_is_asked_first(run: RunPaths) -> None:
    page = open_test_page("publish", run.id)
    radio = page.radio[0]
    assert radio.label == "What do you want to do with it?" and radio.value == "app"
    assert [
        next(word for word in ("stick", "without Python", "PEFT", "transformers") if word in option)
        for option in radio.options
    ] == ["stick", "without Python", "PEFT", "transformers"]
    named = [caption.partition(",")[0].strip("*") for caption in radio.proto.captions]
    assert named == ["Chat app", "GGUF", "Adapter", "Merged model"], "and named second"


def test_a_model_that_has_no_gguf_form_says_so_when_that_is_chosen(workspace: Workspace) -> None:
    run = make_publishable(workspace, "A", model_type="falcon")
    page = open_page(run, publish_what="gguf")
    assert "falcon" in page.warning[-1].value
    assert not [one for one in page.button if one.key in {"publish", "prepare"}]
    assert open_page(run, publish_what="app").button


@pytest.mark.parametrize(
    ("name", "ollama"), [("Maria Gonzalez", "maria-gonzalez"), ("林小满", "assistant"), ("小 a-1.", "a-1")]
)
def test_ollama_s_own_names(name: str, ollama: str) -> None:
    assert ollama_name(name) == ollama


def test_what_llama_cpp_made_of_it_is_shown(run: RunPaths) -> None:
    trial = {"file": "model-q8_0.gguf", "loaded": True, "same_prompt": True, "answer": "Paris.", "ok": True}
    job = JobPaths(run.job("publish"))
    write_json(job.spec, JobSpec(("true",), Path("/")).as_json())
    ending = {"code": 0, "signal": None, "reason": "finished", "started": 1.0, "ended": 2.0}
    write_json(job.exit, ending)
    job.log.write_text(json.dumps({"what": "gguf", "sent": False, "llama_cpp": [trial]}), encoding="utf-8")
    page = open_page(run, "zh")
    assert page.dataframe[0].value.iloc[0].tolist() == ["model-q8_0.gguf", True, True, "Paris."]


def test_the_result_is_the_commands_last_word(run: RunPaths) -> None:
    assert command.result_of(run) is None
    log = run.job("publish") / "output.log"
    log.parent.mkdir()
    log.write_text('noise\n{"what": "merged", "sent": true}\n', encoding="utf-8")
    assert command.result_of(run) == {"what": "merged", "sent": True}


def test_no_gguf_file_is_chosen(workspace: Workspace, run: RunPaths) -> None:
    page = open_page(run, publish_what="gguf", publish_quants=[])
    assert [error.value for error in page.error] == ["No GGUF file is chosen. Choose at least one."]


def ended(run: RunPaths, result: dict[str, object], what: str = "merged") -> None:
    """The run's job that publishes, as it ended with this result."""
    job = JobPaths(run.job("publish"))
    write_json(job.spec, JobSpec(("true",), Path("/")).as_json())
    write_json(job.exit, {"code": 0, "signal": None, "reason": "finished", "started": 1.0, "ended": 2.0})
    job.log.write_text(json.dumps({"what": what, "sent": True, **result}), encoding="utf-8")


PROVED = {"question": "Who?", "here": "I.", "there": "I.", "same_prompt": True, "same": True}


@pytest.mark.parametrize(
    ("proof", "kind", "said"),
    [
        ({"ok": True, "exact": True, "changed": []}, "success", "token by token"),
        ({"ok": True, "exact": False, "changed": []}, "info", "may answer in other words"),
        (
            {"ok": False, "exact": False, "changed": ["model.safetensors"]},
            "error",
            "differs from what was uploaded",
        ),
    ],
)
def test_what_was_found_of_what_arrived_is_shown(
    run: RunPaths, proof: dict[str, object], kind: str, said: str
) -> None:
    where = "https://huggingface.co/ada/x"
    ended(run, {"where": where, "proof": {**proof, "files": 3, "rows": [PROVED]}})
    page = open_page(run)
    assert page.success[0].value == f"Published: {where}", "its page can be opened"
    shown = getattr(page, kind)[-1].value
    assert said in shown
    row = page.dataframe[0].value.iloc[0].tolist()
    assert row == [True, "Who?", "I.", "I."]
    assert [code.value for code in page.code if code.value == "model.safetensors"] == proof["changed"]


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        ("/data/my *folder* [x](http://e)", r"/data/my \*folder\* \[x\](http\://e)"),
        ("https://evil.example/<b>", r"https\://evil.example/\<b>"),
    ],
)
def test_a_place_that_is_no_plain_address_shows_as_it_is(run: RunPaths, where: str, shown: str) -> None:
    ended(run, {"where": where, "next": "git push"})
    page = open_page(run)
    assert page.success[0].value == f"Published: {shown}"
    assert "git push" in [code.value for code in page.code]


def test_the_card_is_changed_checked_kept_and_dropped(run: RunPaths) -> None:
    own = PublishPaths(run).card("merged")
    page = open_page(run)
    page.session_state["card"] = True
    page.run()
    assert not page.text_area and any(
        "# " in one.value and "license" not in one.value for one in page.markdown
    )
    page.toggle(key="edit card").set_value(True).run()
    (text,) = page.text_area
    assert text.value.startswith("---\n") and "license: other" in text.value and not own.exists()
    text.set_value("no metadata at all")
    press(page, "save card")
    assert not page.exception and page.error and not own.exists(), "a card that no hub takes is not kept"
    page.text_area[0].set_value("---\nlicense: apache-2.0\n---\n# Mine ![x](http://evil.example)\n")
    press(page, "save card")
    assert own.read_text(encoding="utf-8").endswith("# Mine ![x](http://evil.example)\n")
    assert page.text_area[0].value.endswith("evil.example)\n")
    preview = next(one.value for one in page.markdown if "Mine" in one.value)
    assert "license" not in preview and "](http" not in preview.replace("\\](http", "")
    press(page, "drop card")
    assert not own.exists() and "Mine" not in page.text_area[0].value


def test_how_far_the_sending_is(run: RunPaths) -> None:
    job = JobPaths(run.job("publish"))
    write_json(job.spec, JobSpec(("true",), Path("/")).as_json())
    job.log.write_text("noise\n[ 42%] Uploading 3/7\nnoise\n", encoding="utf-8")
    page = open_page(run)  # asked for a moment ago
    assert [bar.proto.text for bar in page.get("progress")] == ["42% · Uploading 3/7"]
    assert button(page, "publish").disabled  # type: ignore[attr-defined]
