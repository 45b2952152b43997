"""Snakemake's executor and logger plugins, and what the main process reports at the start and end of a run."""
