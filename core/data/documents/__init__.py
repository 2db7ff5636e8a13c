"""A person's own document becomes facts, each with the questions that ask for it, without anybody's model.

In the order of the work: ``files`` reads a document (text, Markdown, Word, PDF); ``marks`` knows what may
begin a line and what may end a label; ``markdown`` and ``typed`` make of a text as people type it the
Markdown that it stands for; ``lines`` says what a line is about and what it says of it, ``rules`` and
``days`` what a sentence and a day of the week are asked by; ``rows`` goes through it all and makes facts, in
the ``wordings`` that are shipped.
"""
