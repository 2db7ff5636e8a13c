"""The only code that imports torch, transformers and xtuner. It runs in child processes
(``python -m core.engine TOOL …``); nothing imports it. What depends on a version says so."""
