"""Slurm: requests, queue and accounting; the checks before a run; what became of the jobs."""
