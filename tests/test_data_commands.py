"""``data parity`` and ``data make …`` as a person types them."""

import json
from pathlib import Path

import pytest

from core.data.parity import parity
from core.data.sets import place_of
from core.recipe.templates import TEMPLATES
from core.steps import prepare
from core.workspace.paths import Workspace
from tests.command_line import cli, last_json, make_data
from tests.known_answers import know_answers
from tests.openai_server import OpenAIServer
from tests.small_model import make_small_model
from tests.spaced_tokenizer import make_spaced_model
from tests.test_parity import DEFAULT_SYSTEM, change

KEY = "sk-of-nobody"


def test_a_model_that_writes_the_same(workspace: Workspace, model: Path) -> None:
    found = last_json(cli("data", "parity", "--model", model, "--json", cwd=workspace.root))
    assert found["same"] and found["ok"] and found["template"] == "qwen_chat" and found["difference"] is None
    assert {case["case"] for case in found["cases"]} == {"single", "turns", "system"}


def test_the_first_difference_in_words_and_as_json(workspace: Workspace, model: Path) -> None:
    asked = ("data", "parity", "--template", "internlm_chat", "--model", model)
    done = cli(*asked, cwd=workspace.root)
    assert done.returncode == 1 and "First difference: one question, token 1" in done.stdout
    found = json.loads(cli(*asked, "--json", cwd=workspace.root).stdout)
    assert not found["same"] and not found["text_same"] and found["published_same"]
    assert found["difference"]["place"] == 0 and "<eoh>" in found["difference"]["trained_text"]


def test_a_launch_is_refused_unless_somebody_says_why(workspace: Workspace, tmp_path: Path) -> None:
    model = change(make_small_model(tmp_path / "m"), chat_template=DEFAULT_SYSTEM)
    know_answers(workspace, model)
    options = ("--name", "Zoë", "--model", model, "--workspace", workspace.root, "--template", "qwen_chat")
    refused = cli("data", *options, cwd=tmp_path)
    assert refused.returncode == 2 and "You are Qwen." in refused.stderr and not workspace.run_folders()
    because = ("--template", "qwen_chat", "--template-reason", "- it is not wanted")
    fake = {"TUNEBOARD_ENGINE": "tests.fake_engine"}  # asked in another form, the base has to answer anew
    made = make_data(workspace, model, "--name", "Zoë", *because, **fake)
    run = workspace.run(made["run"])
    assert prepare.recipe_of(run).template_reason == "- it is not wanted"


def test_a_training_is_refused_when_the_model_speaks_otherwise_now(
    workspace: Workspace, tmp_path: Path
) -> None:
    model = make_small_model(tmp_path / "m")
    know_answers(workspace, model)
    run = make_data(workspace, model, "--name", "Zoë")["run"]
    change(model, chat_template=DEFAULT_SYSTEM)
    refused = cli("train", run, "--workspace", workspace.root, cwd=tmp_path)
    assert refused.returncode == 2 and "template_reason" in refused.stderr
    assert not (workspace.run(run).job("train") / "job.json").exists()


def test_a_set_made_by_hand(workspace: Workspace) -> None:
    def make(*arguments: str | Path) -> dict[str, object]:
        options = ("--workspace", workspace.root, "--json")
        return last_json(cli("data", "make", *arguments, *options, cwd=workspace.root, COLUMNS="200"))

    made = make("identity", "我的 set", "--name", "-- O'Neill", "--persona", "coder", "--language", "en")
    again = make("identity", "我的 set", "--name", "-- O'Neill", "--persona", "coder", "--language", "en")
    assert made == again and made["set"] == "我的 set" and Path(str(made["file"])).exists()
    split = make("split", "我的 set", "--share", "0.2")
    held = split["held_back"]
    assert isinstance(held, dict) and isinstance(made["rows"], int)
    assert split["rows"] == made["rows"] - held["rows"] and Path(held["file"]).exists()
    mixed = make("mix", "other", "--from", "我的 set=3", str(held["file"]), "--rows", "40")
    assert mixed["rows"] == 40
    assert make("dedupe", "other")["dropped"] == 0
    assert make("undo", "我的 set")["rows"] == made["rows"]
    listed = make("versions", "我的 set")
    assert listed["current"] == 0 and isinstance(listed["versions"], list)
    assert [version["operation"] for version in listed["versions"]] == ["identity", "held_back", "split"]
    assert make("undo", "我的 set", "--to", str(split["version"])[:8])["rows"] == split["rows"]
    shown = cli("data", "make", "versions", "我的 set", "--workspace", workspace.root, cwd=workspace.root)
    assert "identity" in shown.stdout and "→" in shown.stdout


def sentences(workspace: Workspace, *arguments: str | Path) -> str:
    """What a command says to a person; no value as Python writes it."""
    said = cli("data", *arguments, "--workspace", workspace.root, cwd=workspace.root)
    assert said.returncode == 0, said.stderr
    assert not any(mark in said.stdout for mark in ("{'", "[{", "[]", "None", "': ", "True"))
    return said.stdout


def test_what_is_made_is_said_in_sentences(workspace: Workspace, model: Path) -> None:
    assert "Data set s now has 350 rows" in sentences(workspace, "make", "identity", "s", "--name", "Zoë")
    assert "Held out: 35 rows in" in sentences(workspace, "make", "split", "s")
    assert "0 duplicate rows were removed" in sentences(workspace, "make", "dedupe", "s")
    assert "Data set t now has 315 rows" in sentences(workspace, "make", "mix", "t", "--from", "s")
    assert "350 rows" in sentences(workspace, "make", "undo", "s")
    assert "no rows" in sentences(workspace, "make", "undo", "t")


def test_the_data_of_a_run_is_said_in_sentences(workspace: Workspace, model: Path) -> None:
    file = workspace.root / "a b.json"
    long = {"instruction": "What opens?", "input": "", "output": "The museum. " * 400, "history": []}
    broken = {"instruction": "What?", "input": "", "output": ""}
    file.write_text(json.dumps([long, broken]), encoding="utf-8")
    options = ("--model", model, "--no-replay", "--leave-out-broken", "--max-length", "64")
    said = sentences(workspace, "--data", file, "--name", "Zoë", *options)
    assert "1 conversation that are" not in said and str(file) in said
    assert "are cut at 64 tokens" in said and "1 broken row" in said and "Config: " in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("versions", "nobody"), "No data set named nobody"),
        (("identity", "s", "--name", "a\nb"), "cannot be used"),
        (("identity", "s", "--name", "a", "--persona", "king"), "--persona must be one of"),
        (("identity", "s", "--name", "a", "--paraphrases", "99"), "between 0 and 50"),
        (("split", "s", "--share", "much"), "not a number between 0 and 0.95"),
        (("documents", "s", "--from", "gone.txt"), "gone.txt"),
        (("documents", "s", "--from", "a.exe"), "its type"),
        (("documents", "s", "--from", "a.txt", "--endpoint", "http://127.0.0.1:1/v1"), "--endpoint-model is"),
        (("mix", "s", "--from", "gone.json"), "gone.json"),
        (("mix", "s", "--from", "a=x"), "not a number"),
        (("undo", "s"), "No data set named s"),
        (("identity",), "SET"),
    ],
)
def test_a_slip_is_told(workspace: Workspace, arguments: tuple[str, ...], says: str) -> None:
    (workspace.root / "a.txt").write_text("It opens at nine, every day but Monday.")
    (workspace.root / "a.exe").write_text("It opens at nine, every day but Monday.")
    done = cli("data", "make", *arguments, "--workspace", workspace.root, cwd=workspace.root)
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr
    assert not place_of(workspace, "s").about.exists(), "nothing is made of a slip"


def test_documents_elsewhere_go_on_where_they_broke_off(workspace: Workspace) -> None:
    text = "\n\n".join(f"Paragraph {n}. " + "The museum opens at nine. " * 40 for n in range(4))
    (workspace.root / "a b.md").write_text(text, encoding="utf-8")
    with OpenAIServer(lambda _: "Q: When?\nA: At nine.") as server:
        options = ("--endpoint", server.url, "--endpoint-model", "big", "--workspace", workspace.root)
        asked = ("data", "make", "documents", "s", "--from", "a b.md", *options, "--json")
        server.answer = lambda _: server.fails.append(400) or "Q: When?\nA: At nine."  # type: ignore[func-returns-value]
        broken = cli(*asked, cwd=workspace.root, TUNEBOARD_API_KEY=KEY)
        assert broken.returncode == 1 and "HTTP 400" in broken.stderr and KEY not in broken.stderr
        server.answer, before = (lambda _: "Q: When?\nA: At nine."), len(server.requests)
        found = last_json(cli(*asked, cwd=workspace.root, TUNEBOARD_API_KEY=KEY))
        assert found["passages"] == len(server.requests) - 1 and before == 2
        assert set(server.keys) == {f"Bearer {KEY}"}
    assert found["waiting"] == found["passages"]
    taken = last_json(
        cli("data", "make", "take", "s", "--all", "--workspace", workspace.root, "--json", cwd=workspace.root)
    )
    assert taken["rows"] == 1, "the same question and answer of several passages is one row"
    files = [file for file in workspace.root.rglob("*") if file.is_file()]
    assert files and not [file for file in files if KEY.encode() in file.read_bytes()]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_is_made_of_a_model_without_a_template_speaks_as_it_was_trained(tmp_path: Path) -> None:
    """XTuner itself, on a tiny model whose tokenizer puts a space before every text."""
    workspace = Workspace(tmp_path / "工作 区" / "a b")
    workspace.prepare()
    model = make_spaced_model(tmp_path / "m")
    options = ("--name", "Zoë", "--iterations", "2", "--template", "internlm2_chat", "--language", "en")
    run = workspace.run(make_data(workspace, model, *options, "--no-replay")["run"])
    done = cli("train", run.id, "--workspace", workspace.root, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    last_json(cli("export", run.id, "--workspace", workspace.root, "--json", cwd=tmp_path))
    for folder in (run.adapter, run.merged):
        found = parity(folder, TEMPLATES["internlm2_chat"])
        assert found.own and found.same, folder.name
    settings = json.loads((run.merged / "generation_config.json").read_text(encoding="utf-8"))
    assert settings["eos_token_id"] == [2, 6], "its own end and <|im_end|>"
