"""What a person sees of a run: telemetry -> a view (pure), and the view on a terminal.

    process.py     what is known of one process, and its line; before.py what its earlier incarnations have counted
    traffic.py     what went over each link, and how stale gradients were, still pure
    view.py        View: telemetry and events -> lines, totals, rows of metrics.jsonl, the summary
    figures.py     numbers as a person reads them; happened.py events in words; columns.py what tables have in common
    render.py      a view -> the live display and plain lines, still pure
    dense.py       a summary -> what the run did against a dense network, still pure
    told.py        what a run folder tells, in one piece, still pure
    report.py      a run as a page of HTML; compare.py several runs side by side: page.py lays out, charts.py and
                   diagram.py draw, all of it pure
    scalars.py     what a run folder tells, number by number, for other tools; still pure
    metrics.py     a view -> the metrics of Prometheus, still pure; exporter.py serves them; deploy/ has the
                   configuration to look at them
    slip.py        a setting that has grown out of all proportion, in words, still pure
    tapped.py      the frames that were seen on a link, as lines, still pure
    picture.py     what a display showed, as an SVG
    client.py      subscribes to a broker and commands it
    recording.py   what a broker said, as a file; record.py writes it
    replay.py      a recording as its broker would tell it again (pure); stage.py where it is played
    follow.py      a run that goes on elsewhere: waits for its broker, and again when that is started anew
    beside.py      work beside a run, which never ends that
    console/       the console of `neurond top`
    progress.py    shows a run while it goes on: live on a terminal, plain lines elsewhere

`View` needs no terminal library, so nothing is imported here.
"""
