"""The floor that both tools stand on: volumes, files, settings, provenance and the console."""
