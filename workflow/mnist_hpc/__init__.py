"""Train, evaluate and compare MNIST models, one command a stage: ``python -m mnist_hpc --help``.

Reading order is the order of the data: download, idx, datasets, storage, losses, models, training,
evaluation, tables. Beside them: config and specification (what a study is), device, provenance.
"""

__version__ = "0.1.0"
