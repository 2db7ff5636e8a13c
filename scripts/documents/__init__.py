"""Pages and parts of pages that are made from the code: ``scripts/docs`` writes them, ``--check`` compares.

A module here with a function ``pages`` makes some of them. The function returns the whole text of each file
by its path from the project's root; a page that is written by hand but for some parts gets those from
:func:`scripts.documents.marked.filled`.
"""
