"""Models on their page: which there are, choosing, importing and deleting one."""
