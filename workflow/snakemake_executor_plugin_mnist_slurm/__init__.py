"""The name under which Snakemake finds the executor plugin ``mnist-slurm``; see ``mnist_hpc.plugins.executor``."""

from mnist_hpc.plugins.executor import Executor, ExecutorSettings, common_settings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]
