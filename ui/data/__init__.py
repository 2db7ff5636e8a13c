"""Data on its page: the form, a file and what is wrong with it, rows, sets made step by step."""
