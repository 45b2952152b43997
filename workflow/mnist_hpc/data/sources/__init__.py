"""Sources of data sets: one module each, loaded by name.

Each has ``load(entry, folder)``, which returns the splits and further attributes for the HDF5 files. ``entry`` is the
data set's entry in the config (for a built-in one, in ``mnist_hpc.study.datasets``); ``folder`` holds any raw files.
"""
