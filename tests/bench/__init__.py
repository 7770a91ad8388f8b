"""Measurements of what the project promises in numbers: `python -m tests.bench`, or `make bench`.

report.py       a row of the table, and how it is written; kept.py, the file and the page of those before
live.py         the command `neurond` in processes of its own; hand.py, processes one by one; stopwatch.py, in them
learning.py     accuracy, what is saved against dense, and the exact case
frugal.py       MNIST in as few messages, updates and bytes as can be
adam.py         a wider network with Adam
throughput.py   training throughput beside PyTorch; pytorch_loop.py and pytorch_pipeline.py are the other sides of it
reaching.py     time to 97 % beside PyTorch
latency.py      the same with slow links, beside a synchronous pipeline of the same processes
hop.py          what a hop costs beside its products; test_parts.py, its small parts alone
scaling.py      what a stimulus costs in long chains and with many shards
journalling.py  what the journal costs
telemetry.py    what telemetry costs; console.py, what it costs to look
curve.py        what keys cost
processes.py    start, idle processor time, memory
thousand.py     a thousand groups, simulated

Not part of the tests, but for the parts, once each: machines and moments differ, and nothing here fails because a
goal was missed.
"""
