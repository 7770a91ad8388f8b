"""The control plane of a run: who is alive, what the run is doing, and what everybody hears of it.

    registry.py   who is alive (pure)
    conductor.py  the life of a run (pure); words.py what it is told and what it wants done
    round.py      commands to several processes, and their answers (pure)
    rights.py     which key may say what, and how often (pure)
    requests.py   commands of clients and their answers (pure)
    machine.py    all of these together: messages in, messages out (pure)
    manifest.py   which checkpoint is the last good one; incarnations.py what the next broker must know
    server.py     the shell of the machine; sockets.py its sockets
    spawn.py      local processes: start, watch, stop; restart.py how often they are started anew (pure)
    __main__.py   ``python -m broker``

A broker is never on the path of a spike, and it can die without stopping one.
"""
