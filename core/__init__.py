"""Everything of Tuneboard that is not a page: data, recipe, jobs, steps and the command line.

Nothing here imports streamlit, and only ``core.engine`` imports torch, transformers or xtuner:
it runs in child processes, so that this package starts in a fraction of a second.
"""

__version__ = "0.1.0"
