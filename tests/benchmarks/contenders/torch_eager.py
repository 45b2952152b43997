"""PyTorch, eager: tensors in memory, batches by index (a DataLoader is several times slower). Also compiled."""

import torch
from protocol import RATES, Data, Workload, order, serve
from torch import nn


def network(net: str) -> nn.Module:
    if net == "regression":
        model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
        nn.init.zeros_(model[1].weight)
        nn.init.zeros_(model[1].bias)
        return model
    if net == "hidden":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(3136, 1024), nn.ReLU(), nn.Dropout(0.5), nn.Linear(1024, 10)),
    )


def prepare(workload: Workload, data: Data, threads: int, *, compiled: bool = False):
    torch.set_num_threads(threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    inputs = torch.from_numpy(data.inputs)[:, None].to(device)
    labels = torch.from_numpy(data.labels).long().to(device)
    validation = torch.from_numpy(data.validation_inputs)[:, None].to(device)
    step = None

    def run(seed: int):
        nonlocal step
        torch.manual_seed(seed)
        model = network(workload.net).to(device)
        kind = torch.optim.Adam if workload.net == "cnn" else torch.optim.SGD
        optimizer = kind(model.parameters(), RATES[workload.net])
        forward = torch.compile(model) if compiled else model
        for batch in torch.from_numpy(order(workload, len(inputs), seed)).to(device):
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(forward(inputs[batch]), labels[batch]).backward()
            optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

        def predict():
            model.eval()
            with torch.no_grad():
                return torch.cat([model(part) for part in validation.split(1000)]).argmax(dim=1).cpu().numpy()

        return predict

    return run


if __name__ == "__main__":
    serve(prepare, torch.cuda.is_available)
