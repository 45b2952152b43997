"""Slurm: what is asked of it, and what became of the jobs."""
