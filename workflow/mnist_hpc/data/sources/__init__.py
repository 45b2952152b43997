"""Where data sets come from: one module each, loaded by name.

Each has ``load(entry, folder)``, which returns the splits and what else the HDF5 files should record. ``entry`` is the
data set's entry in the config (of a built-in one: its facts, see ``mnist_hpc.study.datasets``); ``folder`` holds raw
files if there are any.
"""
