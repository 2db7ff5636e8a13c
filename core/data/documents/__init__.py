"""A person's own document becomes facts, each with the questions that ask for it, without anybody's model.

In the order of the work, the way in being ``rows``:

``files``      a document is read: text, Markdown, Word, PDF
``markdown``   a text as people type it becomes the Markdown that it stands for, line for line; ``typed`` is
               what they type on a telephone, ``asked`` their questions
``blocks``     the document's blocks are gone through; ``paragraphs`` and ``tables`` say what theirs tell
``asking``     each thing told becomes one of the ``facts``, asked in the shipped ``wordings``
``questions``  the questions of all facts together: none asks for two, and all are put in many manners

What all of these know of a line: ``marks`` (what begins it, what ends its label), ``lines`` (what it is about
and what it says of it), ``amounts`` (prices, times, sizes), ``bare_prices`` (without a currency), ``days``
(of the week), ``rules`` (sentences that are asked by their own words), ``unlabelled`` (what everybody would
label), ``sentences`` (where they end).
"""
