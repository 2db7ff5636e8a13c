"""An answer in HTML, what the model thought before it folded away."""

from html import escape

from core.recipe.thoughts import count_words, split
from ui.shell.text import spoken

ANSWER = '{thought}<div style="white-space:pre-wrap;overflow-wrap:anywhere">{text}</div>'
THOUGHT = (
    '<details style="opacity:.7;font-size:.9rem"><summary style="cursor:pointer">{title}</summary>'
    '<div style="white-space:pre-wrap;overflow-wrap:anywhere;margin:.25rem 0 .5rem .75rem">{text}</div>'
    "</details>"
)


def answer_html(text: str) -> str:
    """What a model wrote is only text. One that never left its thought is said to have given no answer."""
    said = split(text)
    title = spoken("page.chat.thought", count=count_words(said.thought))
    thought = THOUGHT.format(title=escape(title), text=escape(said.thought)) if said.thought else ""
    answer = said.answer or (spoken("result.only_thought") if said.thought else "–")
    return ANSWER.format(thought=thought, text=escape(answer))
