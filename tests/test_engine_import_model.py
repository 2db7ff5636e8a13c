"""A folder with a model becomes a model of the workspace: linked, copied or converted, and never changed."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.data.parity import parity
from core.engine import shards
from core.engine.answer import first_token
from core.engine.import_model import import_model
from core.errors import NotAModel, QuantizedBase, TuneboardError
from core.models.folder import read_model
from core.recipe.templates import TEMPLATES, template_for
from core.workspace.files import read_json
from core.workspace.paths import BANKS
from tests.internlm_model import SPECIAL, into_pickles, make_internlm
from tests.small_model import CHAT_TEMPLATE, make_small_model
from tests.test_engine_native_llama import awkward_texts

# It loads torch, transformers and small models of theirs.
pytestmark = pytest.mark.slow


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "工作 区" / "a b"
    folder.mkdir(parents=True)
    return folder


def edit(file: Path, **changes: Any) -> None:
    found = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(
        json.dumps({k: v for k, v in {**found, **changes}.items() if v is not ...}), encoding="utf-8"
    )


def state(folder: Path) -> dict[str, tuple[str, int]]:
    """Content and time of every file."""
    return {
        file.name: (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
        for file in folder.iterdir()
    }


# --- native models ---


def test_a_folder_is_linked_and_left_as_it_is(here: Path) -> None:
    source = make_small_model(here / "源 1")
    before = state(source)
    assert import_model(source, here / "model", "link") == "link"
    weights = here / "model" / "model.safetensors"
    assert weights.is_symlink() and weights.resolve() == source / "model.safetensors"
    assert not (here / "model" / "config.json").is_symlink()
    assert state(source) == before
    model = read_model(here / "model")
    assert model.parameters == read_model(source).parameters and not model.quantization
    assert AutoTokenizer.from_pretrained(here / "model").decode([5, 6]) == AutoTokenizer.from_pretrained(
        source
    ).decode([5, 6])


def test_links_lead_to_the_files_themselves(here: Path) -> None:
    """A hub's cache is links of its own, which its cleaning removes."""
    source, cache = make_small_model(here / "blobs"), here / "cache"
    cache.mkdir()
    for file in source.iterdir():
        (cache / file.name).symlink_to(file)
    import_model(cache, here / "model", "link")
    assert (here / "model" / "model.safetensors").resolve() == source / "model.safetensors"
    shutil.rmtree(cache)
    assert read_model(here / "model").parameters


def test_a_copy_needs_its_source_no_more(here: Path) -> None:
    source = make_small_model(here / "source")
    assert import_model(source, here / "model", "copy") == "copy"
    shutil.rmtree(source)
    assert AutoModelForCausalLM.from_pretrained(here / "model").num_parameters() > 100_000


@pytest.mark.parametrize("links", [True, False])
def test_what_was_downloaded_is_moved(here: Path, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_small_model(here / "source")
    if not links:  # a disk without hard links

        def refuse(*_: object) -> None:
            raise OSError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    assert import_model(source, here / "model", "move") == "move"
    shutil.rmtree(source)
    weights = here / "model" / "model.safetensors"
    assert weights.is_file() and not weights.is_symlink() and read_model(here / "model").parameters


def test_code_stays_behind(here: Path) -> None:
    source = make_small_model(here / "source", auto_map={"AutoModel": "modeling_x.X"})
    edit(source / "tokenizer_config.json", auto_map={"AutoTokenizer": ["x.Y", None]})
    (source / "modeling_x.py").write_text("raise SystemExit('run')")
    import_model(source, here / "model", "link")
    assert not list((here / "model").glob("*.py"))
    assert (
        "auto_map"
        not in (here / "model" / "config.json").read_text()
        + (here / "model" / "tokenizer_config.json").read_text()
    )


def test_weights_of_other_programs_stay_behind(here: Path) -> None:
    source = make_small_model(here / "source")
    for name in ("consolidated.safetensors", "model.gguf", "pytorch_model.bin", "tf_model.h5", "LICENSE"):
        (source / name).write_bytes(b"x")
    import_model(source, here / "model", "copy")
    assert {file.name for file in (here / "model").iterdir()} == {
        *("LICENSE", "config.json", "generation_config.json", "model.safetensors"),
        *("tokenizer.json", "tokenizer_config.json"),
    }


def test_pickled_weights_become_safetensors(here: Path) -> None:
    source = make_small_model(here / "source")
    weights = load_file(source / "model.safetensors")
    into_pickles(source)
    assert import_model(source, here / "model", "link") == "convert"
    found = load_file(here / "model" / "model.safetensors")
    assert found.keys() == weights.keys() and all(torch.equal(found[n], weights[n]) for n in weights)
    assert not list((here / "model").glob("*.bin*"))


def test_the_older_form_of_a_pickle(here: Path) -> None:
    source = make_small_model(here / "source")
    weights = load_file(source / "model.safetensors")
    (source / "model.safetensors").unlink()
    torch.save(weights, source / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    import_model(source, here / "model", "link")
    assert load_file(here / "model" / "model.safetensors").keys() == weights.keys()


def test_large_weights_come_in_shards(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_small_model(here / "source")
    into_pickles(source, 3)
    monkeypatch.setattr(shards, "SHARD_BYTES", 200_000)
    monkeypatch.setattr(shards.ShardWriter.__init__, "__defaults__", (200_000,))
    import_model(source, here / "model", "link")
    files = sorted(file.name for file in (here / "model").glob("*.safetensors"))
    assert len(files) > 2 and files[0] == f"model-00001-of-{len(files):05d}.safetensors"
    assert all(file.stat().st_size < 300_000 for file in (here / "model").glob("*.safetensors"))
    model = AutoModelForCausalLM.from_pretrained(here / "model")
    assert model.num_parameters() == read_model(here / "model").parameters


@pytest.mark.parametrize(
    ("settings", "first"),
    [
        ({"bos_token": "<|im_start|>"}, False),  # SmolLM2's: named, but neither it nor its template uses it
        ({"bos_token": "<|im_start|>", "chat_template": "{{ bos_token }}" + CHAT_TEMPLATE}, True),
        ({"bos_token": None}, False),
    ],
)
def test_a_first_token_that_nothing_uses_is_not_trained(
    here: Path, settings: dict[str, Any], first: bool
) -> None:
    source = make_small_model(here / "source")
    edit(source / "tokenizer_config.json", tokenizer_class="GPT2Tokenizer", **settings)
    import_model(source, here / "model", "link")
    before, after = (AutoTokenizer.from_pretrained(folder) for folder in (source, here / "model"))
    assert (read_json(here / "model" / "tokenizer_config.json").get("bos_token") is not None) is first
    assert first_token(after) == ("<|im_start|>" if first else "")
    for text in awkward_texts():
        assert before(text)["input_ids"] == after(text)["input_ids"], repr(text)
    assert (before.eos_token_id, before.chat_template) == (after.eos_token_id, after.chat_template)
    assert parity(here / "model", TEMPLATES["qwen_chat"]).difference is None


def only_a_tokenizer_model(folder: Path, prefix: bool) -> bytes:
    """The small model with a sentencepiece tokenizer of its own, as Llama's first repositories are."""
    written = io.BytesIO()
    banks = [bank.read_text(encoding="utf-8") for bank in sorted(BANKS.glob("*.json"))]
    SentencePieceTrainer.train(
        sentence_iterator=iter(line for bank in banks for line in bank.splitlines() if line.isascii()),
        model_writer=written,
        vocab_size=900,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=prefix,
        minloglevel=2,
    )
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.model").write_bytes(written.getvalue())
    special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": None}
    edit(folder / "tokenizer_config.json", tokenizer_class="LlamaTokenizer", **special)
    edit(folder / "tokenizer_config.json", added_tokens_decoder=...)
    edit(folder / "config.json", bos_token_id=1, eos_token_id=2)
    return written.getvalue()


@pytest.mark.parametrize("prefix", [True, False])
def test_a_tokenizer_json_is_made_where_there_is_none(here: Path, prefix: bool) -> None:
    source = make_small_model(here / "source")
    reference = SentencePieceProcessor(model_proto=only_a_tokenizer_model(source, prefix))
    import_model(source, here / "model", "link")
    tokenizer = AutoTokenizer.from_pretrained(here / "model")
    for text in (text for text in awkward_texts() if "s>" not in text):  # special in transformers alone
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == reference.encode(text), repr(text)
    assert tokenizer("hi")["input_ids"][0] == tokenizer.bos_token_id == 1
    assert read_model(here / "model").chat_template == CHAT_TEMPLATE


def test_templates_in_a_folder_of_their_own_come_along(here: Path) -> None:
    source = make_small_model(here / "source")
    edit(source / "tokenizer_config.json", chat_template=...)
    (source / "additional_chat_templates").mkdir()
    for name, template in (("another", "{{ 'another' }}"), ("default", CHAT_TEMPLATE)):
        (source / "additional_chat_templates" / f"{name}.jinja").write_text(template, encoding="utf-8")
    import_model(source, here / "model", "link")
    assert read_model(here / "model").chat_template == read_model(source).chat_template == CHAT_TEMPLATE


# --- InternLM ---


@pytest.mark.parametrize(
    ("kind", "template"),
    [("internlm", "internlm_chat"), ("internlm2", "internlm2_chat"), ("internlm3", "internlm2_chat")],
)
@pytest.mark.parametrize("pickled", [False, True])
def test_internlm_becomes_a_llama(here: Path, kind: str, template: str, pickled: bool) -> None:
    source = make_internlm(here / kind, kind)
    if pickled:
        into_pickles(source)
    before = state(source)
    assert import_model(source, here / "model", "link") == "convert"
    assert state(source) == before
    model = read_model(here / "model")
    assert (model.architecture, model.model_type, model.origin) == ("LlamaForCausalLM", "llama", kind)
    assert template_for(model.chat_template, model.origin) == template
    assert parity(here / "model", TEMPLATES[template]).difference is None
    names = {file.name for file in (here / "model").iterdir()}
    assert "README.md" in names and not {f"modeling_{kind}.py", "tokenizer.model"} & names
    assert "auto_map" not in (here / "model" / "config.json").read_text()


@pytest.mark.parametrize(("kind", "mark"), [("internlm", "<eoa>"), ("internlm2", "<|im_end|>")])
def test_what_ends_an_answer_is_written_for_every_program(here: Path, kind: str, mark: str) -> None:
    import_model(make_internlm(here / kind, kind), here / "model", "link")
    tokenizer = AutoTokenizer.from_pretrained(here / "model")
    about = json.loads((here / "model" / "generation_config.json").read_text())
    assert about["eos_token_id"] == [2, tokenizer.convert_tokens_to_ids(mark)]
    assert (about["bos_token_id"], about["pad_token_id"]) == (1, 2)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "你好"}], tokenize=False, add_generation_prompt=True
    )
    assert text.startswith("<s>") and "你好" in text
    assert (
        tokenizer.convert_tokens_to_ids(mark) == {**{v: k for k, v in SPECIAL.items()}, "<eoa>": 103028}[mark]
    )


def test_biases_that_internlm3_has_not_are_zero(here: Path) -> None:
    import_model(make_internlm(here / "s", "internlm3"), here / "model", "link")
    weights = load_file(here / "model" / "model.safetensors")
    assert weights["model.layers.1.self_attn.o_proj.bias"].eq(0).all()
    assert weights["model.layers.1.self_attn.q_proj.bias"].ne(0).any()


# --- what cannot be trained ---


def quantized(folder: Path) -> None:
    edit(folder / "config.json", quantization_config={"quant_method": "gptq", "bits": 4})


def gguf_only(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model-q4_k_m.gguf").write_bytes(b"GGUF")


def adapter(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"")


def configured(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "config.json", **changes)


def without_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors")


def evil_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()

    class Evil:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, ...]]:
            return (os.mkdir, (str(folder.parent / "pwned"),))

    torch.save({"model.norm.weight": Evil()}, folder / "pytorch_model.bin")


def half_a_pickle(folder: Path) -> None:
    into_pickles(folder, 1)
    file = next(folder.glob("*.bin"))
    os.truncate(file, file.stat().st_size // 2)


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (gguf_only, "only GGUF"),
        (adapter, "it is an adapter"),
        (configured(architectures=["BertModel"], model_type="bert"), "BertModel does not generate"),
        (
            configured(is_encoder_decoder=True, architectures=["T5ForConditionalGeneration"]),
            "does not generate",
        ),
        (configured(architectures=["InternLM2ForRewardModel"], model_type="internlm2"), "does not generate"),
        (configured(vision_config={"x": 1}, architectures=["LlavaForConditionalGeneration"]), "pictures"),
        (configured(num_local_experts=8, architectures=["MixtralForCausalLM"]), "mixture of experts"),
        (configured(model_type="baichuan", auto_map={"AutoModel": "x.Y"}), "never run"),
        (configured(model_type="neverheard"), "no built-in class"),
        (configured(hidden_size=128), "has shape"),
        (configured(num_hidden_layers=3), "model.layers.2"),
        (configured(vocab_size=100), "embeddings for only 100 tokens"),
        (without_a_weight, "model.layers.1.mlp.up_proj.weight is missing"),
        (evil_pickle, "more than weights"),
        (half_a_pickle, "more than weights"),
        (no_tokenizer, "tokenizer cannot be read"),
    ],
)
def test_why_not(
    here: Path, spoil: Callable[[Path], None], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    source = make_small_model(here / "source")
    spoil(source)
    with pytest.raises(NotAModel) as caught:
        import_model(source, here / "model", "link")
    assert reason in str(caught.value) and str(source) in str(caught.value) and "\n" not in str(caught.value)
    assert sorted(path.name for path in here.iterdir()) == ["source"], "something was left behind"


def test_a_quantized_model_is_refused(here: Path) -> None:
    source = make_small_model(here / "source")
    quantized(source)
    with pytest.raises(QuantizedBase, match="gptq"):
        import_model(source, here / "model", "link")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rope_scaling": {"type": "yarn", "factor": 2.0}}, "rotary"),
        ({"num_key_value_heads": 4}, "has shape"),
        ({"num_hidden_layers": 3}, "missing"),
        ({"vocab_size": 92000}, "embeddings for only 92000 tokens"),
    ],
)
def test_an_internlm_that_is_not_what_it_says(here: Path, change: dict[str, Any], reason: str) -> None:
    source = make_internlm(here / "source", "internlm2", **change)
    with pytest.raises(TuneboardError, match=reason):
        import_model(source, here / "model", "link")
    assert not (here / "model").exists()


def test_an_internlm_without_a_tokenizer(here: Path) -> None:
    source = make_internlm(here / "source", "internlm2")
    (source / "tokenizer.model").unlink()
    with pytest.raises(NotAModel, match=r"tokenizer\.json"):
        import_model(source, here / "model", "link")
