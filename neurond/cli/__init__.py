"""The command line: `neurond VERB`. Every verb is thin; what it does lives elsewhere.

    app.py         main(): the one place where an exception becomes a line and an exit code
    verbs.py       the verbs put together, with their examples
    output.py      data to stdout, words to stderr
    run.py         run; start.py its options, and those of up
    simulate.py    simulate
    topologies.py  init, check, graph, expand, zoo, schema
    trained.py     eval, predict
    datasets.py    data list, fetch, show
    keys.py        keys init, show, revoke
    doctor.py      doctor
    completion.py  completion
    processes.py   ps                 logs.py     logs
    changing.py    get, set, pause, resume, save, restart, kill
    tap.py         tap                up.py       up
    down.py        down; ours.py which processes are neurond's
    attached.py    which run they mean, and how its broker is asked; which.py the options for that
    monitor.py     monitor            metrics.py  metrics
    report.py      report, compare    recordings.py  record, replay
    export.py      export             experiment.py  experiment
    top.py         top, the console; watch.py the console of a run that is supervised here
    compose.py     compose: containers.py the services, onemachine.py for one machine, watchers.py what looks at them,
                   swarm.py for several; composefile.py is how they are written
    daemons.py     broker, source, group, status: handed to their light entry points before typer is imported
    witness.py     what the verb broker writes of its own run

Nothing heavy is imported before a verb needs it, so that `--help` is quick and `run` starts processes early.
"""
