"""A chat with one model, by itself: ``streamlit run app.py``. Model and words stand in settings.json.

It runs as a Hugging Face Space (Docker), a ModelScope Studio and an OpenXLab app, and on any machine that has
the packages of requirements.txt.
"""

import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import streamlit as st
import torch
from offers import (
    THINK,
    is_guess,
    literally,
    parted,
    says_itself,
    show_can_be_asked,
    show_meant,
    taught,
)
from talk import Chat, Ended, Turn
from transformers import AutoModelForCausalLM, AutoTokenizer, StoppingCriteriaList, TextIteratorStreamer

HERE = Path(__file__).resolve().parent
SETTINGS = json.loads((HERE / "settings.json").read_text(encoding="utf-8"))
LONGEST_ANSWER = 512  # tokens
LONGEST_QUESTION = 8000  # characters
TURNS_REMEMBERED = 12
CHATS_REMEMBERED = 100
DRAW_EVERY = 0.15  # seconds


# In the browser: what is said where the server answers no more, in the place of Streamlit's own sentence,
# which asks for the internet. It goes away when the server is back. And whoever types goes on typing once the
# answer is there; not on a telephone, whose keyboard would come up.
WATCH = """<style>
#gone{display:none;position:fixed;inset:0 0 auto 0;z-index:1000001;padding:1rem;text-align:center;
font:1rem/1.5 system-ui,sans-serif;background:#7a4a00;color:#fff}
body.gone #gone{display:block} body.gone [role=dialog],body.gone [data-baseweb=modal]{display:none!important}
</style><script>
if(!window.watched){window.watched=1;let missed=0;
const bar=document.createElement("div");bar.id="gone";bar.setAttribute("role","alert");
document.body.append(bar);
setInterval(async()=>{let ok=false;
try{ok=(await fetch(new URL("_stcore/health",document.baseURI),{cache:"no-store"})).ok}catch{}
missed=ok?0:missed+1;bar.textContent=missed>1?window.gone:"";
document.body.classList.toggle("gone",missed>1)},2000);
let off=false;setInterval(()=>{const box=document.querySelector("[data-testid=stChatInput] textarea");
if(!box)return;if(off&&!box.disabled&&document.activeElement===document.body&&matchMedia("(hover:hover)").matches)
box.focus();off=box.disabled},200)}
window.gone=GONE;
</script>"""


def words() -> dict[str, str]:
    """The page's words in the browser's language."""
    language = "zh" if (st.context.locale or "").lower().startswith("zh") else "en"
    return SETTINGS["words"][language]


@st.cache_resource(show_spinner=False)
def load() -> tuple[Any, Any]:
    """The model and its tokenizer, once for all visitors. MODEL names another folder or repository."""
    named = os.environ.get("MODEL") or SETTINGS["model"]
    beside = HERE / named
    source = beside if beside.exists() else named
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # A core is the browser's and this page's: threads wait for each other, and stand where one has none.
    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 2) - 1)))
    dtype = torch.float16 if device == "cuda" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype).to(device).eval()
    return model, AutoTokenizer.from_pretrained(source)


def answer(loaded: tuple[Any, Any], turns: Sequence[Turn], left: Event) -> Iterator[str]:
    """The model's answer as it is written: always the likeliest one, and at once where the model can also
    think first. A thought that the prompt begins comes with it. Ended by ``left``. Raises Ended."""
    model, tokenizer = loaded
    prompt, inputs = prompt_of(model, tokenizer, turns)
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True, timeout=600)
    ends = StoppingCriteriaList([lambda ids, *_, **__: torch.tensor([left.is_set()], device=ids.device)])
    options = {"max_new_tokens": LONGEST_ANSWER, "do_sample": False, "streamer": streamer}
    options["stopping_criteria"] = ends
    found: list[Any] = []

    def write() -> None:
        try:
            found.append(model.generate(**inputs, **options))
        except Exception as error:
            found.append(error)
            streamer.end()  # who waits for more waits for ten minutes

    Thread(target=write, daemon=True).start()
    if prompt.rstrip().endswith(THINK):
        yield THINK
    yield from streamer
    while not found:
        time.sleep(0.01)
    if isinstance(found[0], Exception):
        raise found[0]
    if not left.is_set() and found[0].shape[1] - inputs["input_ids"].shape[1] >= LONGEST_ANSWER:
        raise Ended("long")


def prompt_of(model: Any, tokenizer: Any, turns: Sequence[Turn]) -> tuple[str, Any]:
    """The last turns that leave room for an answer, as text and as tokens. Raises Ended for a question that
    leaves none alone."""
    before = [{"role": "system", "content": SETTINGS["system"]}] if SETTINGS["system"] else []
    recent = [{"role": turn.role, "content": parted(turn.content)[1]} for turn in turns[-TURNS_REMEMBERED:]]
    room = getattr(model.config, "max_position_embeddings", None) or 2048
    while recent:
        prompt = tokenizer.apply_chat_template(
            [*before, *recent], add_generation_prompt=True, tokenize=False, enable_thinking=False
        )
        inputs = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").to(model.device)
        if inputs["input_ids"].shape[1] + min(LONGEST_ANSWER, room // 2) <= room:
            return prompt, inputs
        recent = recent[2:]
    raise Ended("too_long")


def harmless(text: str) -> str:
    """Markdown in which no link or picture has an address: a browser would fetch the picture, and so send out
    what the address says. A word joiner is seen by nobody, in code either."""
    return re.sub(r"\](?=\s*[(:]\s*<?[^\s)]{0,40}[/:&\\])", "]\u2060", text)


@st.cache_resource(show_spinner=False)
def chats() -> dict[str, Chat]:
    """What was said, by the chat's name in the page's address, as long as the server lives and no longer: a
    page that is loaded anew finds it again."""
    return {}


def this_chat(loaded: tuple[Any, Any]) -> tuple[str, Chat]:
    """The tab's chat by its name; a new one where it has none, or the server has forgotten it."""
    known, own = chats(), st.session_state
    name = own.get("chat") or st.query_params.get("chat", "")
    if name not in known:
        own["forgotten"] = bool(name) and not own.get("chat")
        name = secrets.token_urlsafe(12)
        for oldest in list(known)[: len(known) + 1 - CHATS_REMEMBERED]:
            known.pop(oldest, None)
        known[name] = Chat(partial(answer, loaded), taught().nearest, is_guess, says_itself, is_to_choose)
    own["chat"] = name
    return name, known[name]


def is_to_choose(question: str) -> bool:
    """Whether taught questions may be meant, and a person is better asked which than told what the model
    would make up."""
    return SETTINGS["asks_back"] and bool(taught().meant(question))


def begin_again() -> None:
    if chat := chats().pop(st.session_state.pop("chat", ""), None):
        chat.stop()
    st.query_params.clear()


def asked(chat: Chat) -> None:
    st.session_state["forgotten"] = False
    chat.ask(st.session_state["question"] or "")


def show_turn(turn: Turn, said: dict[str, str]) -> None:
    thought, text = parted(turn.content.rstrip("\ufffd"))  # half a character
    if thought:
        st.expander("💭").markdown(harmless(thought))
    coming = " ▌" if turn.end == "coming" else ""
    st.markdown(harmless(text) + coming)
    if turn.asked and turn.end != "coming":
        st.caption(literally(said["asked"].replace("{question}", turn.asked)))
    if turn.guessed and turn.end != "coming":
        st.caption(said["guessed"])
    if why := ended(turn, said):
        st.caption(why)


def ended(turn: Turn, said: dict[str, str]) -> str:
    """Why an answer is not whole."""
    return {
        "looped": said["looped"],
        "long": said["long"],
        "stopped": said["stopped"],
        "failed": said["failed"],
        "too_long": said["too_long"],
        "choose": said["not_taught"],
    }.get(turn.end, "")


def follow(chat: Chat, drawn: int, said: dict[str, str]) -> None:
    """Draw what comes, until nothing is on its way."""
    while chat.answering:
        for turn in chat.turns[drawn:-1]:
            with st.chat_message(turn.role):
                show_turn(turn, said)
        drawn = max(drawn, len(chat.turns) - 1)
        if not chat.turns or chat.turns[-1].end != "coming":
            time.sleep(DRAW_EVERY)
            continue
        turn = chat.turns[drawn]
        with st.chat_message(turn.role):
            place = st.empty()
            st.button(said["stop"], icon=":material/stop_circle:", on_click=chat.stop, key=f"stop {drawn}")
        shown = None
        while turn.end == "coming":
            if shown != turn.content:
                shown = turn.content
                with place.container():
                    show_turn(turn, said)
            time.sleep(DRAW_EVERY)
    st.rerun()


def show_begin(chat: Chat, said: dict[str, str]) -> None:
    """What can be asked first, one press each: who it is, and what it was taught of a document."""
    if st.session_state.get("forgotten"):
        st.info(said["forgotten"], icon=":material/history:")
    st.caption(said["examples"] if SETTINGS["examples"] else said["first"])
    with st.container(horizontal=True):
        for number, question in enumerate((said["who"], *SETTINGS["examples"])):
            st.button(literally(question), key=f"begin {number}", on_click=chat.ask, args=(question,))


def main() -> None:
    said = words()
    st.set_page_config(page_title=said["title"], page_icon=HERE / "icon.svg")  # an emoji is fetched from afar
    st.title(said["title"], anchor=False)
    st.caption(said["lead"])
    if said["wrong"]:
        st.caption(said["wrong"])
    st.html(WATCH.replace("GONE", json.dumps(said["gone"])), unsafe_allow_javascript=True)
    with st.spinner(said["loading"]):
        loaded = load()
    name, chat = this_chat(loaded)
    turns = [turn for turn in chat.turns if turn.end != "coming"]
    begin = st.empty()  # which is taken away as soon as something was asked
    if not chat.turns and not chat.answering:
        with begin.container():
            show_begin(chat, said)
    elif st.query_params.get("chat") != name:
        st.query_params["chat"] = name
    for turn in turns:
        with st.chat_message(turn.role):
            show_turn(turn, said)
    if turns and (turns[-1].guessed or turns[-1].end == "choose") and not chat.answering:
        show_meant(chat, turns, said)
    below = st.container()
    show_can_be_asked(chat, said)
    st.chat_input(
        said["busy"] if chat.answering else said["ask"],
        key="question",
        on_submit=asked,
        args=(chat,),
        disabled=chat.answering,
        submit_mode="disable",
        max_chars=LONGEST_QUESTION,
    )
    if chat.answering:
        with below:
            follow(chat, len(turns), said)
    elif turns:
        below.button(said["again"], icon=":material/refresh:", on_click=begin_again)


main()
