"""Measurements of what the project promises in numbers: `python -m tests.bench`, or `make bench`.

What is measured, and what of it:

learning.py    accuracy, what is saved against dense, and the exact case
frugal.py      the same of MNIST in few messages
adam.py        the same with Adam
throughput.py  stimuli a second beside PyTorch
reaching.py    time to 97 % beside PyTorch
latency.py     time to 97 % on slow links, beside a synchronous pipeline
hop.py         what a volley costs a group beside its products
scaling.py     whether cost grows with the work alone
journalling.py what the journal costs
curve.py       what keys cost
processes.py   start, idle processor time, memory
telemetry.py   what reports cost
console.py     what the console costs
onlooker.py    training beside a console, and beside one that stands still

By themselves:

test_parts.py  the small parts of a hop, each alone (`make parts`)
thousand.py    a simulated network of a thousand groups (`python -m tests.bench.thousand`)

With what:

report.py      a row of the table, and how it is written; kept.py, the file and the page of those before
live.py        the command `neurond` in processes of its own
hand.py        the processes of a run, started one by one; stopwatch.py a daemon that is timed
pytorch.py     the other side: pytorch_loop.py in one process, pytorch_pipeline.py in three

Not part of the tests, but for the parts, once each: machines and moments differ, and nothing here fails because a
goal was missed.
"""
