"""Train, evaluate and compare model variants on MNIST; ``python -m mnist_hpc --help`` lists the commands."""

__version__ = "1.0.0"
