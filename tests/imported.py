"""What a process that forks for tests has done before it is asked."""

import gc
import importlib


def import_and_read() -> None:
    """Import the command line, read the banks and compile the patterns that nearly every command needs: of
    most commands in tests that is all that takes time."""
    for name in ("core.cli.command", "core.engine.__main__", "core.engine.download"):
        importlib.import_module(name)
    from core.data.checking.claims import claims
    from core.data.questions import development_questions, held_back_questions, replay_questions
    from core.wording import sentences

    list(claims("Who are you? 你是谁？", "I am Ada. 我是小满。 Je suis Ada."))
    for read in (replay_questions, held_back_questions, development_questions):
        read()
    for language in ("en", "zh"):
        sentences(language)
    gc.freeze()  # what is imported is no garbage: a child that looked for it there would copy all of it
