"""Record what transformers writes with the chat templates of tests/templates: the right answers of
tests/test_chat_templates.py.

    python -m tests.record_chat_templates [FILE]

The date that a template asks for is 2 January 2026, 03:04.
"""

import sys
from pathlib import Path

import transformers
from tokenizers import Tokenizer, models
from transformers.utils import chat_template_utils

from core.workspace.files import write_json
from tests.chat_templates import CASES, RECORDED, REFUSED, Asked, ChatTemplate, Fixed, chat_templates


def written(template: ChatTemplate, asked: Asked) -> str | None:
    """The text; nothing where the template refuses the conversation."""
    empty = Tokenizer(models.BPE())
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=empty, **template.tokens)
    try:
        text = tokenizer.apply_chat_template(
            [dict(message) for message in asked.messages],
            chat_template=template.source,
            add_generation_prompt=asked.ask,
            tokenize=False,
            **dict(asked.options),
        )
    except REFUSED:
        return None
    return str(text)


def main(file: Path = RECORDED) -> None:
    chat_template_utils.datetime = Fixed
    found = {
        name: {case: written(template, asked) for case, asked in CASES.items()}
        for name, template in chat_templates().items()
    }
    write_json(file, {"transformers": transformers.__version__, "written": found})


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
