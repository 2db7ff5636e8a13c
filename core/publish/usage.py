"""How to use what is published: code for a card, the files other programs read."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from core.publish.facts import Facts
from core.publish.request import What
from core.recipe.templates import Template

Example = tuple[str, str, str]
QUESTION = "Who are you?"
PLACEHOLDER = "OWNER/NAME"
LONGEST_NAME = 60


def examples(facts: Facts, what: What, repo: str) -> Iterator[Example]:
    """(program, language of the code, code) for what is published."""
    repo = repo or PLACEHOLDER
    messages: list[dict[str, str]] = [{"role": "user", "content": QUESTION}]
    if facts.recipe.system:
        messages.insert(0, {"role": "system", "content": facts.recipe.system})
    chat = json.dumps(messages, ensure_ascii=False)
    if what == "adapter":
        yield from _adapter(facts, repo, chat)
    elif what == "merged":
        yield "transformers", "python", MERGED.format(repo=json.dumps(repo), chat=chat)
        yield "vLLM", "shell", f"vllm serve {shlex.quote(repo)}"
        yield "Ollama", "shell", _ollama(repo)
    elif what == "gguf":
        yield "Ollama", "shell", _ollama(repo)
        yield "llama.cpp", "shell", "llama-cli -m model-*.gguf --jinja"
        yield "transformers", "python", GGUF.format(repo=json.dumps(repo), chat=chat)
        yield "vLLM", "shell", f"hf download {repo} --local-dir model\nvllm serve model/model-f16.gguf"
    else:
        yield "Streamlit", "shell", "pip install -r requirements.txt\nstreamlit run app.py"


def _adapter(facts: Facts, repo: str, chat: str) -> Iterator[Example]:
    base = facts.base.id or facts.base.name
    yield "transformers", "python", ADAPTER.format(base=json.dumps(base), repo=json.dumps(repo), chat=chat)
    if facts.recipe.method != "dora":  # which vLLM refuses
        # PiSSA's adapter was converted to LoRA of twice the rank.
        rank = facts.recipe.rank * (2 if facts.recipe.method == "pissa" else 1)
        lora = f"--enable-lora --max-lora-rank {rank} --lora-modules assistant={shlex.quote(repo)}"
        yield "vLLM", "shell", f"vllm serve {shlex.quote(base)} {lora}"
    merge = 'model.merge_and_unload().save_pretrained("merged")\ntokenizer.save_pretrained("merged")'
    yield "Ollama", "python", f"# after the lines above; then: cd merged && ollama create assistant\n{merge}"


def _ollama(repo: str) -> str:
    download = f"hf download {shlex.quote(repo)} --local-dir model"
    return f"{download}\ncd model && ollama create assistant -f Modelfile\nollama run assistant"


def to_run(what: What, folder: str, name: str) -> str:
    """The commands that run what was taken along in Ollama, from beside its ``folder``; "" for an adapter,
    which needs its base model, and an app, which is double-clicked. The same words in every shell, Windows'
    own too."""
    if what in {"app", "adapter"}:
        return ""
    model = ollama_name(name)
    return f'cd "{folder}"\nollama create {model} -f Modelfile\nollama run {model}'


def ollama_name(name: str) -> str:
    """What Ollama may call a model: its names have ASCII letters, digits and "-" alone."""
    words = re.findall(r"[a-z0-9]+", name.lower())
    return "-".join(words)[:LONGEST_NAME].strip("-") or "assistant"


MERGED = """from transformers import pipeline

chat = pipeline("text-generation", model={repo})
answer = chat({chat}, max_new_tokens=64, do_sample=False)
print(answer[0]["generated_text"][-1]["content"])"""

ADAPTER = """from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({repo})
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained({base}), {repo})
messages = {chat}
options = dict(add_generation_prompt=True, return_dict=True, return_tensors="pt")
inputs = tokenizer.apply_chat_template(messages, **options)
output = model.generate(**inputs, max_new_tokens=64, do_sample=False)
print(tokenizer.decode(output[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))"""

GGUF = """from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({repo}, gguf_file="model-f16.gguf")
model = AutoModelForCausalLM.from_pretrained({repo}, gguf_file="model-f16.gguf")
messages = {chat}
options = dict(add_generation_prompt=True, return_dict=True, return_tensors="pt")
inputs = tokenizer.apply_chat_template(messages, **options)
output = model.generate(**inputs, max_new_tokens=64, do_sample=False)
print(tokenizer.decode(output[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))"""


def by_git(folder: Path, repo: str) -> str:
    """The commands that send an app to OpenXLab, which takes those by Git alone.

    Git asks for the name and the token, so that neither stands in a command.
    """
    address = f"https://code.openxlab.org.cn/{repo or PLACEHOLDER}.git"
    patterns = '"*.safetensors" "*.gguf" "*.png" "tokenizer.json"'
    return "\n".join(
        (
            f"git clone {shlex.quote(address)} openxlab && cd openxlab",
            f"git lfs install --local && git lfs track {patterns}",
            f"cp -r {shlex.quote(str(folder))}/. .",
            'git add --all && git commit -m "Publish" && git push',
        )
    )


def modelfile(facts: Facts, source: str) -> str:
    """Ollama's Modelfile: which weights, and the text around questions and answers as in training.

    ``source`` is a GGUF file beside it, or ``.`` for a folder of safetensors.
    """
    template = facts.template
    stops = dict.fromkeys(word for word in (template.suffix, *template.stop_words) if word)
    lines = [f"FROM {source}", f'TEMPLATE """{ollama_template(template, facts.tokens)}"""']
    if facts.recipe.system:
        lines.append(f"SYSTEM {_quoted(facts.recipe.system)}")
    lines += [f"PARAMETER stop {json.dumps(word)}" for word in stops]
    return "\n".join([*lines, "PARAMETER temperature 0", ""])


def ollama_template(template: Template, tokens: Mapping[str, str]) -> str:
    """The prompt template in Go's language, without a blank that the training did not write.

    A template without a suffix ends an answer with the end token and begins the next turn with the first.
    """
    end = template.suffix or tokens.get("eos_token", "")
    again = "" if template.suffix else tokens.get("bos_token", "")
    asked = _role("user", *template.instruction.partition("{input}")[::2])
    said = _role("assistant", "", f"{end}{template.sep}{again}")
    told = _role("system", *template.system.partition("{system}")[::2]) if template.system else ""
    # Ollama puts the first token there itself.
    begin = template.begin.removeprefix(tokens.get("bos_token", ""))
    before = f"{{{{ if not .System }}}}{begin}{{{{ end }}}}" if begin else ""
    return f"{before}{{{{ range .Messages }}}}{told}{asked}{said}{{{{ end }}}}"


def _role(role: str, before: str, after: str) -> str:
    return f'{{{{ if eq .Role "{role}" }}}}{before}{{{{ .Content }}}}{after}{{{{ end }}}}'


def _quoted(text: str) -> str:
    """A Modelfile has no escapes: three quotes hold anything but three quotes."""
    return '"""' + text.replace('"""', "'''") + '"""'
