"""The `surfora` command: parse, call one function at the level of files, say what it returned.

Read `app` first; single stages are in `stages`, what they share in `options`.
"""

from tomocore.machine import say_interrupted_while_loading

say_interrupted_while_loading()
