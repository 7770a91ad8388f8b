"""The other side of the throughput: plain PyTorch in one process. Run as a file; it needs nothing but PyTorch.

    python tests/bench/pytorch_loop.py FOLDER_OF_IDX_FILES EPOCHS

The network of the zoo's mnist, 784-300-100-10 ReLU, cross entropy, SGD, batches of 32, PyTorch's own default
number of threads. Only the training loop is timed: all images are float32 tensors before it, and it is warm.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from pathlib import Path

import torch  # type: ignore[import-not-found, unused-ignore]  # in another environment, perhaps

BATCH = 32
WARM_UP = 300  # batches
LR = 0.07


def read(folder: Path, name: str, header: int) -> torch.Tensor:
    """The bytes of a gzipped IDX file behind its header, as uint8."""
    return torch.frombuffer(bytearray(gzip.decompress((folder / name).read_bytes())[header:]), dtype=torch.uint8)


def main(folder: Path, epochs: float) -> None:
    """Train, and print one JSON object."""
    torch.manual_seed(0)
    x = read(folder, "train-images-idx3-ubyte.gz", 16).reshape(-1, 784).to(torch.float32) / 255
    y = read(folder, "train-labels-idx1-ubyte.gz", 8).to(torch.int64)
    network = torch.nn.Sequential(
        torch.nn.Linear(784, 300),
        torch.nn.ReLU(),
        torch.nn.Linear(300, 100),
        torch.nn.ReLU(),
        torch.nn.Linear(100, 10),
    )
    loss_of = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), lr=LR)

    def train(batches: int) -> float:
        """Mean loss of the last pass."""
        done, total = 0, torch.zeros(())
        while done < batches:
            total = torch.zeros(())
            for rows in torch.randperm(len(x)).split(BATCH)[: batches - done]:
                optimizer.zero_grad()
                loss = loss_of(network(x[rows]), y[rows])
                loss.backward()
                optimizer.step()
                total += loss.detach()
                done += 1
        return float(total)

    train(WARM_UP)
    batches = round(epochs * len(x) / BATCH)
    began = time.perf_counter()
    train(batches)
    train_s = time.perf_counter() - began
    with torch.no_grad():
        accuracy = float((network(x[:10_000]).argmax(1) == y[:10_000]).float().mean())
    print(
        json.dumps(
            {
                "stimuli_per_s": batches * BATCH / train_s,
                "train_s": train_s,
                "train_accuracy": accuracy,
                "threads": torch.get_num_threads(),
                "version": torch.__version__,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
