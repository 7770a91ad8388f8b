"""The other side of throughput and of time to accuracy: plain PyTorch in one process. Run as a file.

    python tests/bench/pytorch_loop.py FOLDER_OF_IDX_FILES BATCH LR EPOCHS [constant|cosine]

The network of the zoo's mnist, 784-300-100-10 ReLU, cross entropy, SGD, PyTorch's own default number of threads. Only
the training loop is timed: all images are float32 tensors before it, it is warm, and the clock stands still while the
accuracy is looked at, ten times an epoch. It needs nothing but PyTorch.
"""

from __future__ import annotations

import gzip
import json
import math
import sys
import time
from pathlib import Path

import torch  # type: ignore[import-not-found, unused-ignore]  # in another environment, perhaps

WARM_UP = 300  # batches, of another network
WIDTHS = (784, 300, 100, 10)
LOOKS = 10  # at the accuracy, in an epoch
PREFIXES = {"train": "train", "test": "t10k"}


def images(folder: Path, part: str) -> torch.Tensor:
    """Images of the part train or test, float32 (n, 784) in [0, 1]."""
    return _read(folder / f"{PREFIXES[part]}-images-idx3-ubyte.gz", 16).reshape(-1, 784).to(torch.float32) / 255


def labels(folder: Path, part: str) -> torch.Tensor:
    """Classes of the part train or test, int64 (n,)."""
    return _read(folder / f"{PREFIXES[part]}-labels-idx1-ubyte.gz", 8).to(torch.int64)


def _read(path: Path, header: int) -> torch.Tensor:
    """The bytes of a gzipped IDX file behind its header, as uint8."""
    return torch.frombuffer(bytearray(gzip.decompress(path.read_bytes())[header:]), dtype=torch.uint8)


def _network() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Linear(*WIDTHS[:2]),
        torch.nn.ReLU(),
        torch.nn.Linear(*WIDTHS[1:3]),
        torch.nn.ReLU(),
        torch.nn.Linear(*WIDTHS[2:]),
    )


def main(folder: Path, batch: int, lr: float, epochs: float, schedule: str = "constant") -> None:
    """Train, and print one JSON object."""
    torch.manual_seed(0)
    x, y, x_test, y_test = (of(folder, part) for part in ("train", "test") for of in (images, labels))
    loss_of = torch.nn.CrossEntropyLoss()
    batches = round(epochs * len(x) / batch)
    look = round(len(x) / batch / LOOKS)

    def train(batches: int, look: int) -> tuple[float, list[tuple[float, float]]]:
        """Seconds of training, and (seconds of training, test accuracy) at each look."""
        network = _network()
        optimizer = torch.optim.SGD(network.parameters(), lr=lr)
        done, spent, looks = 0, 0.0, []
        began = time.perf_counter()
        while done < batches:
            for rows in torch.randperm(len(x)).split(batch)[: batches - done]:
                if schedule == "cosine":
                    for group in optimizer.param_groups:
                        group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * done / batches))
                optimizer.zero_grad()
                loss_of(network(x[rows]), y[rows]).backward()
                optimizer.step()
                done += 1
                if done % look == 0 or done == batches:
                    spent += time.perf_counter() - began
                    with torch.no_grad():
                        accuracy = float((network(x_test).argmax(1) == y_test).float().mean())
                    looks.append((spent, accuracy))
                    began = time.perf_counter()
        return spent, looks

    train(WARM_UP, WARM_UP)
    train_s, looks = train(batches, look)
    print(
        json.dumps(
            {
                "stimuli_per_s": batches * batch / train_s,
                "train_s": train_s,
                "looks": looks,
                "test_accuracy": looks[-1][1],
                "threads": torch.get_num_threads(),
                "version": torch.__version__,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), *sys.argv[5:6])
