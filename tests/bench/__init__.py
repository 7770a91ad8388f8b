"""Measurements of what the project promises in numbers: `python -m tests.bench`, or `make bench`.

report.py      a row of the table, and how it is written
live.py        the command `neurond` in processes of its own
learning.py    accuracy, what is saved against dense, and the exact case
throughput.py  training throughput beside PyTorch; pytorch_loop.py is the other side of it
journalling.py what the journal costs
curve.py       what keys cost
processes.py   start, idle processor time, memory

Not part of the tests: machines and moments differ, and nothing here fails because a goal was missed.
"""
