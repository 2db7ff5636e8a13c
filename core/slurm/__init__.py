"""Slurm: profiles of what is asked of it, and its own commands, bounded in time."""
