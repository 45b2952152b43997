"""Small nets that the tests of sweeps train."""

HIDDEN = [{"Flatten": {}}, {"Dense": {"units": 16, "activation": "relu"}}, {"Dense": {"units": 10}}]
NOISY = [
    {"Dropout": {"rate": 0.1}},
    {"Flatten": {}},
    {"Dense": {"units": 12}},
    {"GaussianNoise": {"stddev": 0.5}},
    {"ReLU": {}},
    {"Dropout": {"rate": 0.5}},
    {"Dense": {"units": 8, "activation": "tanh", "use_bias": False}},
    {"Dense": {"units": 10}},
]
CNN = [{"Conv2D": {"filters": 2, "kernel_size": 5}}, {"Flatten": {}}, {"Dense": {"units": 10}}]
