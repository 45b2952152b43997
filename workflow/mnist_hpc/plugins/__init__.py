"""Snakemake's logger plugin, and what the main process reports at the start and end of a run."""
