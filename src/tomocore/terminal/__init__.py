"""What only commands need: printing, progress bars, options, exit statuses.

In: words of a command line, and what a function at the level of files reports. Out: lines, bars and a
status. Nothing below the doors imports this room. Read `console` first.
"""
