"""What Snakemake loads or calls: its logger plugin, and what the main process says at the start and end of a run."""
