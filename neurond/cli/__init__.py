"""The command line: `neurond VERB`. Every verb is thin; what it does lives elsewhere.

    app.py         main(): the one place where an exception becomes a line and an exit code
    verbs.py       the verbs put together, with their examples
    output.py      data to stdout, words to stderr
    until.py       `--until acc>=0.97` and `--for 60s`
    run.py         run
    topologies.py  check, expand, graph, schema, init
    trained.py     eval, predict
    datasets.py    data list, fetch, show
    keys.py        keys init, show, revoke
    doctor.py      doctor
    shell.py       completion
    daemons.py     broker, source, group: handed to their light entry points before typer is imported

Nothing heavy is imported before a verb needs it, so that `--help` is quick and `run` starts processes early.
"""
