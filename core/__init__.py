"""Everything of Tuneboard that is not a page, by subject. Each room imports only what stands before it:

``workspace limited queue slurm jobs models recipe data proof steps chat pipeline sweep publish model_store``
``cli``

Nothing here imports streamlit, and only ``core.engine`` imports torch, transformers or xtuner: it runs in
child processes, so that this package starts in a fraction of a second. See ``docs/architecture.md``.
"""

__version__ = "0.1.0"
