"""PyTorch's own pipeline of three processes over gloo. Run as a file; it needs nothing but PyTorch.

    python tests/bench/pytorch_pipeline.py FOLDER_OF_IDX_FILES BATCH MICROBATCHES BATCHES

The network of the zoo's mnist, a linear layer a process, `torch.distributed.pipelining` with the schedule 1F1B (GPipe
for a single microbatch, which 1F1B does not take), plain SGD. Only the training loop is timed, after a warm-up.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path

import torch  # type: ignore[import-not-found, unused-ignore]  # in another environment, perhaps
import torch.distributed as dist  # type: ignore[import-not-found, unused-ignore]
import torch.multiprocessing as mp  # type: ignore[import-not-found, unused-ignore]
from pytorch_loop import images, labels  # beside this file
from torch.distributed.pipelining import (  # type: ignore[import-not-found, unused-ignore]
    PipelineStage,
    Schedule1F1B,
    ScheduleGPipe,
)

WIDTHS = (784, 300, 100, 10)
STAGES = len(WIDTHS) - 1
WARM_UP = 10  # batches
LR = 0.07


def main(folder: Path, batch: int, microbatches: int, batches: int) -> None:
    """Start a process a stage; the first prints one JSON object."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    mp.spawn(_stage, (folder, batch, microbatches, batches), nprocs=STAGES)


def _stage(rank: int, folder: Path, batch: int, microbatches: int, batches: int) -> None:
    torch.set_num_threads(1)  # as many processes as cores, or more: threads would only fight
    torch.manual_seed(0)
    dist.init_process_group("gloo", rank=rank, world_size=STAGES)
    linear = torch.nn.Linear(WIDTHS[rank], WIDTHS[rank + 1])
    module = linear if rank == STAGES - 1 else torch.nn.Sequential(linear, torch.nn.ReLU())
    optimizer = torch.optim.SGD(module.parameters(), lr=LR)
    stage = PipelineStage(module, rank, STAGES, torch.device("cpu"))
    of_kind = ScheduleGPipe if microbatches < STAGES else Schedule1F1B
    pipeline = of_kind(stage, microbatches, loss_fn=torch.nn.CrossEntropyLoss())
    x, y = images(folder, "train"), labels(folder, "train")
    order = torch.randperm(len(x))
    began = 0.0
    for k in range(WARM_UP + batches):
        if k == WARM_UP:
            dist.barrier()
            began = time.perf_counter()
        rows = order[torch.arange(k * batch, (k + 1) * batch) % len(order)]
        optimizer.zero_grad()
        if rank == 0:
            pipeline.step(x[rows])
        elif rank == STAGES - 1:
            pipeline.step(target=y[rows])
        else:
            pipeline.step()
        optimizer.step()
    dist.barrier()
    if rank == 0:
        lasted = time.perf_counter() - began
        found = {"stimuli_per_s": batches * batch / lasted, "processes": STAGES, "version": torch.__version__}
        print(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(int(n) for n in sys.argv[2:5]))
