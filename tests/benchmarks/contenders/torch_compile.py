"""PyTorch with ``torch.compile``."""

from functools import partial

import torch
from protocol import serve
from torch_eager import prepare

if __name__ == "__main__":
    serve(partial(prepare, compiled=True), torch.cuda.is_available)
