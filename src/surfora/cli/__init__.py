"""The `surfora` command: parse, call one function at the level of files, say what it returned.

Read `app` first.
"""
