"""A chat with one model, by itself: ``streamlit run app.py``. Model and words stand in settings.json.

It runs as a Hugging Face Space (Docker), a ModelScope Studio and an OpenXLab app, and on any machine that has
the packages of requirements.txt.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import streamlit as st
import torch
from loops import without_loop
from transformers import AutoModelForCausalLM, AutoTokenizer, StoppingCriteriaList, TextIteratorStreamer

HERE = Path(__file__).resolve().parent
SETTINGS = json.loads((HERE / "settings.json").read_text(encoding="utf-8"))
LONGEST_ANSWER = 512  # tokens
TURNS_REMEMBERED = 12
THINK = "<think>"


def words() -> dict[str, str]:
    """The page's words in the browser's language."""
    language = "zh" if (st.context.locale or "").lower().startswith("zh") else "en"
    return SETTINGS["words"][language]


@st.cache_resource(show_spinner=False)
def load() -> tuple[object, object]:
    """The model and its tokenizer, once for all visitors. MODEL names another folder or repository."""
    named = os.environ.get("MODEL") or SETTINGS["model"]
    beside = HERE / named
    source = beside if beside.exists() else named
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.float16 if device == "cuda" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype).to(device).eval()
    return model, AutoTokenizer.from_pretrained(source)


def answer(turns: list[dict[str, str]]) -> Iterator[str]:
    """The model's answer as it is written: always the likeliest one, and at once where the model can also
    think first. A thought that the prompt begins comes with it. Whoever takes no more pieces ends it."""
    model, tokenizer = load()
    before = [{"role": "system", "content": SETTINGS["system"]}] if SETTINGS["system"] else []
    last = turns[-TURNS_REMEMBERED:]
    said = [{"role": turn["role"], "content": parted(turn["content"])[1]} for turn in last]
    prompt = tokenizer.apply_chat_template(
        [*before, *said], add_generation_prompt=True, tokenize=False, enable_thinking=False
    )
    inputs = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").to(model.device)
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True, timeout=600)
    left = Event()
    ends = StoppingCriteriaList([lambda ids, *_, **__: torch.tensor([left.is_set()], device=ids.device)])
    options = {"max_new_tokens": LONGEST_ANSWER, "do_sample": False, "streamer": streamer}
    options["stopping_criteria"] = ends
    Thread(target=model.generate, kwargs={**inputs, **options}, daemon=True).start()
    try:
        if prompt.rstrip().endswith(THINK):
            yield THINK
        yield from streamer
    finally:
        left.set()


def parted(text: str) -> tuple[str, str]:
    """What the model thought, and its answer; that is empty as long as it thinks."""
    if not text.lstrip().startswith(THINK):
        return "", text
    thought, _, said = text.partition("</think>")
    return thought.replace(THINK, "").strip(), said.lstrip()


def show(text: str) -> None:
    thought, said = parted(text)
    if thought:
        st.expander("💭").markdown(harmless(thought))
    st.markdown(harmless(said))


def harmless(text: str) -> str:
    """Markdown in which no link or picture has an address: a browser would fetch the picture, and so send out
    what the address says. A word joiner is seen by nobody, in code either."""
    return re.sub(r"\](?=\s*[(:]\s*<?[^\s)]{0,40}[/:&\\])", "]\u2060", text)


def main() -> None:
    said = words()
    st.set_page_config(
        page_title=SETTINGS["title"], page_icon=HERE / "icon.svg"
    )  # an emoji is fetched from afar
    st.title(SETTINGS["title"], anchor=False)
    st.caption(said["lead"])
    if said["wrong"]:
        st.caption(said["wrong"])
    turns = st.session_state.setdefault("turns", [])
    for turn in turns:
        with st.chat_message(turn["role"]):
            show(turn["content"])
            if turn.get("looped"):
                st.caption(said["looped"])
    with st.spinner(said["loading"]):
        load()
    if question := st.chat_input(said["ask"]):
        turns.append({"role": "user", "content": question})
        st.chat_message("user").markdown(harmless(question))
        message = st.chat_message("assistant")
        place, text, once = message.empty(), "", None
        for piece in answer(turns):
            text += piece
            once = without_loop(text)
            with place.container():
                show(text if once is None else once)
            if once is not None:
                message.caption(said["looped"])
                break
        looped = {} if once is None else {"looped": "yes"}
        turns.append({"role": "assistant", "content": text if once is None else once, **looped})
    if turns and st.button(said["again"], icon=":material/refresh:"):
        turns.clear()
        st.rerun()


main()
