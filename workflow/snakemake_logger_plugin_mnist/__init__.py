"""The name under which Snakemake finds the logger plugin ``mnist``; see ``mnist_hpc.plugins.logger``."""

from mnist_hpc.plugins.logger import LogHandler

__all__ = ["LogHandler"]
