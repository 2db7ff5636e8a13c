"""Whatever is given to the command line: one sentence that says what, where and what to do, and no trace."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core.__main__ import main
from tests.command_line import cli
from tests.small_model import make_small_model

# An option of the commands alone.
WITHOUT_JSON = {"a door with and without a lock"}
# What is asked for, the exit code, and words that the English sentence must have.
Case = tuple[Callable[[Path], list[str]], int, tuple[str, ...]]


def named(*arguments: str) -> Callable[[Path], list[str]]:
    return lambda place: ["data", "--name", "Zoë", *(a.replace("PLACE", str(place)) for a in arguments)]


def plain(*arguments: str) -> Callable[[Path], list[str]]:
    return lambda place: [a.replace("PLACE", str(place)) for a in arguments]


def with_data(content: bytes) -> Callable[[Path], list[str]]:
    def make(place: Path) -> list[str]:
        (place / "数据 a.json").write_bytes(content)
        return ["data", "--name", "Zoë", "--data", str(place / "数据 a.json")]

    return make


def with_model(spoil: Callable[[Path], object]) -> Callable[[Path], list[str]]:
    def make(place: Path) -> list[str]:
        folder = make_small_model(place / "模型 m")
        spoil(folder)
        return ["data", "--name", "Zoë", "--model", str(folder)]

    return make


def configured(**changes: object) -> Callable[[Path], object]:
    return lambda folder: make_small_model(folder, **changes)  # type: ignore[arg-type]


NAMES = {
    "empty": "",
    "spaces": "  \u3000 ",
    "newline": "a\nb",
    "return": "a\rb",
    "escape": "\x1b[31mred",
    "bidi": "\u202eevil",
    "zero width": "a\u200bb",
    "template mark": "x<|im_end|>",
    "very long": "张" * 10_000,
    "only marks": "---",
    "not UTF-8": os.fsdecode(b"a\xff"),
}
CASES: dict[str, Case] = {
    # the line itself
    "port is a word": (plain("--port", "web"), 2, ("--port", "web is not", "65535", "scripts/run --help")),
    "port forgotten": (plain("--port", "--no-browser"), 2, ("--port", "needs a value")),
    "a door with and without a lock": (plain("--password", "--no-token"), 2, ("--password", "--no-token")),
    "a command between options": (
        plain("--no-browser", "w"),
        2,
        ("unknown command w", "scripts/run --help"),
    ),
    "unknown command": (
        plain("trian"),
        2,
        ("unknown command trian (did you mean train?)", "scripts/run --help"),
    ),
    "the last word of a command": (plain("adopt", "x"), 2, ("unknown command adopt", "mean runs adopt?")),
    "a command below another": (plain("runs", "adpot", "x"), 2, ("runs adpot (did you mean runs adopt?)",)),
    "before what is missing": (plain("data", "chekc"), 2, ("data chekc (did you mean data check?)",)),
    "three words": (
        plain("data", "make", "mxi", "s"),
        2,
        ("unknown command data make mxi (did you mean data make mix?)",),
    ),
    "an option of another name": (
        plain("tune", "--nme", "X"),
        2,
        ("unknown argument --nme (did you mean --name?)", "scripts/run tune --help"),
    ),
    "with its value": (plain("tune", "--nme=X"), 2, ("--nme (did you mean --name?)",)),
    "of the dashboard": (plain("--prot", "80"), 2, ("--prot", "did you mean --port")),
    "a choice": (
        plain("models", "import", "x", "--hub", "hugingface"),
        2,
        ("one of: huggingface, modelscope (did you mean huggingface?)",),
    ),
    "no such set": (plain("data", "make", "undo", "x"), 2, ("No data set named x", "make identity")),
    "no such model of one's own": (
        plain("models", "delete", "nothing"),
        2,
        ("No model named nothing", "scripts/run models"),
    ),
    "no such kind of GGUF": (
        plain("publish", "r", "--what", "gguf", "--quants", "q9"),
        2,
        ("q9 is not a GGUF type", "q8_0"),
    ),
    "no repository": (
        plain("publish", "r", "--what", "adapter", "--to", "huggingface"),
        2,
        ("no repository is given; add OWNER/NAME. See",),
    ),
    "no such config": (plain("configs", "open", "nothing"), 2, ("no such file exists. Search with",)),
    "no such document": (
        plain("data", "make", "documents", "s", "--from", "nofile"),
        2,
        ("No file at nofile",),
    ),
    "too heavy": (
        plain("data", "make", "mix", "s", "--from", "a=x"),
        2,
        ("between 0 and 1000000.", "See scripts/run data make mix"),
    ),
    "nothing to mix": (plain("data", "make", "mix", "s", "--from", "PLACE/no"), 2, ("No file", "Check the")),
    "unknown option": (named("--colour", "red"), 2, ("--colour", "unknown", "scripts/run data --help")),
    "abbreviated option": (plain("data", "--nam", "x"), 2, ("--nam", "unknown argument")),
    "no name": (plain("tune"), 2, ("--name", "is required", "scripts/run tune --help")),
    "name forgotten": (plain("tune", "--name", "--json"), 2, ("--name", "needs a value")),
    "name forgotten at the end": (plain("tune", "--name"), 2, ("--name", "needs a value")),
    "seed is a word": (named("--seed", "x"), 2, ("--seed", "x is not a whole number", "4294967295")),
    "seed too small": (named("--seed", "-1"), 2, ("--seed", "-1 is not")),
    "seed too large": (named("--seed", str(2**32)), 2, ("--seed", str(2**32))),
    "seed of 5000 digits": (named("--seed", "9" * 5000), 2, ("--seed",)),
    "no iterations": (named("--iterations", "0"), 2, ("--iterations", "0 is not", "between 1")),
    "half iterations": (named("--iterations", "1.5"), 2, ("--iterations", "1.5")),
    "too many iterations": (named("--iterations", "1" + "0" * 12), 2, ("--iterations", "1000000")),
    "a switch with a value": (named("--no-replay=yes"), 2, ("--no-replay", "takes no value")),
    "a word too many": (plain("runs", "x"), 2, ("x", "unknown", "scripts/run runs --help")),
    "no run": (plain("train"), 2, ("run", "required")),
    "nothing to export": (plain("export"), 2, ("run", "required", "scripts/run export --help")),
    "no such language": (named("--language", "fr"), 2, ("--language must be one of", "en", "zh")),
    "system prompt forgotten": (named("--system", "--json"), 2, ("--system", "needs a value")),
    "no such run": (named("--run", "../x"), 2, ("No run ../x", "scripts/run runs")),
    **{
        f"name: {what}": (
            plain("data", "--name", name),
            2,
            ("Please enter a name",)
            if what in {"empty", "spaces"}
            else ("name cannot be used", "for example"),
        )
        for what, name in NAMES.items()
    },
    # data
    "no such data": (named("--data", "PLACE/no.json"), 2, ("No file", "PLACE/no.json", "--data")),
    "data is a folder": (named("--data", "PLACE"), 2, ("PLACE", "no data file")),
    "data is a device": (named("--data", "/dev/zero"), 2, ("/dev/zero", "not a regular file")),
    "data is nothing": (named("--data", "/dev/null"), 2, ("/dev/null", "JSON")),
    "data below a file": (named("--data", "/etc/passwd/x"), 2, ("/etc/passwd/x",)),
    "data name too long": (named("--data", "x" * 5000), 2, ("too long",)),
    "not JSON": (with_data(b'[\n {"conversation" 1}\n]'), 2, ("line 2", "column 18", "数据 a.json")),
    "not UTF-8": (with_data("[\n张".encode("gbk")), 2, ("line 2", "数据 a.json")),
    "a picture": (with_data(b"\x89PNG\r\n\x1a\n\0"), 2, ("PNG", "数据 a.json")),
    "no mapping": (named("--column", "x"), 2, ("--column x", "assistant")),
    "nothing to check": (plain("data", "check"), 2, ("FILE", "scripts/run data check --help")),
    "check no file": (plain("data", "check", "PLACE/no.json"), 2, ("No file", "PLACE/no.json")),
    "check no model": (plain("data", "check", "x", "--model", "PLACE/m"), 2, ("No model",)),
    "no length": (plain("data", "check", "x", "--max-length", "0"), 2, ("--max-length", "between 1")),
    "empty file": (with_data(b""), 2, ("no rows", "数据 a.json")),
    "empty list": (with_data(b"[]"), 2, ("no rows", "数据 a.json")),
    "no usable row": (
        with_data(b'[{"messages": []}, 5]'),
        1,
        ("2 rows have problems", "row 1", "row 2", "--column", "data check"),
    ),
    "wrong rows": (
        with_data(b'[{"messages": []}, 5, {"instruction": "a", "output": "b"}]'),
        2,
        ("2 problems", "row 1", "row 2", "--leave-out-broken", "the other 1 row", "data check"),
    ),
    "data check no file": (plain("data", "check", "PLACE/no.json"), 2, ("PLACE/no.json. Check the path.",)),
    "deep nesting": (with_data(b"[" * 500_000), 2, ("nested too deeply", "数据 a.json")),
    # models
    "no such model": (named("--model", "PLACE/m"), 2, ("No model", "PLACE/m", "--model")),
    "model of nobody": (named("--model", "~nobody-here/m"), 2, ("No model", "~nobody-here/m")),
    "model name too long": (named("--model", "x" * 5000), 2, ("No model",)),
    "model is a file": (named("--model", "/etc/passwd"), 2, ("No model", "/etc/passwd")),
    "model not UTF-8": (named("--model", os.fsdecode(b"/\xff")), 2, ("No model",)),
    "empty model folder": (named("--model", "PLACE"), 2, ("PLACE", "no config.json")),
    "an adapter": (
        with_model(lambda f: (f / "config.json").rename(f / "adapter_config.json")),
        2,
        ("模型 m", "adapter", "base model"),
    ),
    "remote code": (
        with_model(configured(model_type="baichuan", auto_map={"AutoModel": "x.Y"})),
        2,
        ("模型 m", "never run"),
    ),
    "broken weights": (
        with_model(lambda f: os.truncate(f / "model.safetensors", 99_999)),
        2,
        ("模型 m", "model.safetensors is incomplete"),
    ),
    "pickled weights": (
        with_model(lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin")),
        2,
        ("模型 m", "no *.safetensors"),
    ),
    # workspaces
    "a file as workspace": (named("--workspace", "/etc/passwd"), 1, ("/etc/passwd", "--workspace")),
    "below a file": (named("--workspace", "/etc/passwd/w"), 1, ("/etc/passwd/w", "--workspace")),
    "a place without files": (named("--workspace", "/proc/w"), 1, ("/proc/w", "--workspace")),
    "a place that refuses": (named("--workspace", "/sys/w"), 1, ("/sys/w", "--workspace")),
    "home of nobody": (named("--workspace", "~nobody-here/w"), 1, ("~nobody-here/w", "no such user")),
    "a chain of protocols": (named("--workspace", "PLACE/a::b"), 1, ("a::b", '"::"', "--workspace")),
    "a variable": (named("--workspace", "PLACE/$HOME"), 1, ("$HOME", "--workspace")),
    "a double quote": (named("--workspace", 'PLACE/a"b'), 1, ("a", "double quote", "--workspace")),
    "a line break": (named("--workspace", "PLACE/a\nb"), 1, (r"a\nb", "line break", "--workspace")),
    "what a config fills in": (
        named("--workspace", "PLACE/{{ fileDirname }}"),
        1,
        ("{{ fileDirname", "--workspace"),
    ),
    "workspace name too long": (named("--workspace", "x" * 300), 1, ("too long", "--workspace")),
    "workspace not UTF-8": (named("--workspace", os.fsdecode(b"PLACE/\xff")), 1, ("UTF-8", "--workspace")),
    "runs of a file": (plain("runs", "--workspace", "/etc/passwd"), 1, ("/etc/passwd", "--workspace")),
    # runs
    **{
        f"no such run: {step}": (
            plain(step, "20260101-no"),
            2,
            ("No run 20260101-no", "scripts/run runs"),
        )
        for step in ("train", "convert", "merge", "ask")
    },
    "a run outside": (plain("train", "../../etc"), 2, ("No run ../../etc",)),
    "a run of nothing": (plain("train", ""), 2, ("No run",)),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "工作 区" / "a b"
    folder.mkdir(parents=True)
    return folder


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def is_one_sentence(text: str) -> bool:
    """One line that ends as a sentence, or with the command to type."""
    return text.count("\n") == 1 and (text[-2] in ".。" or "scripts/run" in text.split(":")[-1])


# Half a second a process: of cases that go the same way, some do.
ALIKE = {
    *(
        f"name: {what}"
        for what in ("spaces", "return", "escape", "zero width", "template mark", "only marks")
    ),
    *(f"no such run: {step}" for step in ("convert", "merge", "ask")),
    *(
        "seed too small",
        "half iterations",
        "abbreviated option",
        "name forgotten at the end",
        "a run outside",
    ),
    *("data below a file", "data is nothing", "model is a file", "empty file", "pickled weights"),
}


@pytest.mark.parametrize("case", [case for case in CASES if case not in ALIKE])
def test_the_real_command_line(case: str, place: Path) -> None:
    make, code, words = CASES[case]
    arguments = make(place)
    before = files(place)
    done = cli(*arguments, "--json", cwd=place) if case not in WITHOUT_JSON else cli(*arguments, cwd=place)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    for word in words:
        assert word.replace("PLACE", str(place)) in done.stderr
    assert is_one_sentence(done.stderr) and "Traceback" not in done.stderr and "\x1b" not in done.stderr
    assert files(place) - before <= {"workspace"}, "something was left behind"


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("case", CASES)
def test_in_both_languages(
    case: str,
    language: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make, code, words = CASES[case]
    monkeypatch.chdir(place)
    monkeypatch.setenv("TUNEBOARD_LANG", language)
    monkeypatch.delenv("TUNEBOARD_HOME", raising=False)
    assert main(make(place)) == code
    said = capsys.readouterr().err
    assert is_one_sentence(said)
    if language == "en":
        assert all(word.replace("PLACE", str(place)) in said for word in words)
    else:
        assert any("\u4e00" <= character <= "\u9fff" for character in said)
        assert not [english for english in (" is ", " the ", " cannot ", "argument") if english in said]


def test_a_disk_that_is_too_small(small_disk: Callable[[str], Path], place: Path) -> None:
    folder = small_disk("size=4m")
    done = cli("tune", "--name", "Zoë", "--workspace", folder, cwd=place)
    assert done.returncode == 1 and is_one_sentence(done.stderr)
    assert str(folder) in done.stderr and "1.2 GB are needed" in done.stderr and "4 MB free" in done.stderr
    assert files(folder) <= {"workspace.json"}


def test_a_disk_that_is_read_only(small_disk: Callable[[str], Path], place: Path) -> None:
    folder = small_disk("size=4m,ro")
    for workspace in (folder, folder / "w"):
        done = cli("tune", "--name", "Zoë", "--workspace", workspace, cwd=place)
        assert done.returncode == 1 and is_one_sentence(done.stderr)
        assert str(workspace) in done.stderr and "read-only" in done.stderr


@pytest.mark.parametrize("output", ["| head -c0", "> /dev/full", ">&-"])
def test_nobody_reads_the_output(output: str, place: Path) -> None:
    """As in ``scripts/run doctor | head``: at most one sentence, never a traceback."""
    done = cli("runs", cwd=place, before=f'sh -c \'"$@" {output}\' sh "$@"; exit')
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert done.stderr == "" or is_one_sentence(done.stderr)
