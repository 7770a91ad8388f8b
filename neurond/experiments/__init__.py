"""Studies that measure what the 2016 note claims, and what this project claims, with networks that really train.

    study.py       what a study is, as data: arms, charts, claims
    catalog.py     all studies: thresholds.py, learning.py, delays.py, steering.py, joining.py, networks.py; arms.py
                   what they have in common
    conduct.py     makes the runs that are missing, one after the other
    processes.py   one run, through real processes; disturb.py what is done to it meanwhile
    virtual.py     one run in virtual time
    alone.py       one run whose steps are counted, in this process
    figures.py     the figures of a run
    results.py     the file that keeps them
    judge.py       what they say of a claim (pure)
    draw.py        charts, the only module that needs matplotlib
    page.py        docs/experiments.md (pure)

The verb `experiment` puts them together. Nothing is imported here.
"""
