"""XTuner's own config files: found, read without running them, opened as a Recipe.

reader (statements) and values (expressions) read; settings brings what was read into one form; opening makes
the Recipe; compare says what of the file is not in it; catalog has what XTuner ships.
"""
