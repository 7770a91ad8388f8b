"""The console: `neurond top`. Pure views of a run as rows of spans, and a thin shell in Textual.

    page.py      what a view hands to the shell: rows, and what each is about; canvas.py dots, table.py tables
    views.py     the views by their digits: groups.py, links.py, raster.py, curves.py, log.py, network.py
    display.py   what is on the console and how the user wants to see it; head.py the lines above the views
    details.py   all that is known of one process or link
    settings.py  what of a process or link can be edited while it runs
    snapshot.py  all of it as one object; keys.py what the keys do, in words
    app.py       the application: keys and pictures; commands.py what it asks of the run
    pane.py      the widgets that show rows; colours.py in which colours, and where
    dialogs.py   questions, details, edits, help
    terminal.py  the terminal below it, which may be closed
    web.py       the same in a browser; browser/ has its page

Only app, commands, pane, colours, dialogs, terminal and web know Textual, and are imported late.
"""
