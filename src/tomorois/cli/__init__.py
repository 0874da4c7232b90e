"""The `tomorois` command: parse, call one function at the level of files, say what it returned.

Read `app` first.
"""

from tomocore.machine import say_interrupted_while_loading

say_interrupted_while_loading()
