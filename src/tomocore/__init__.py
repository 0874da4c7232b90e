"""The floor that both tools stand on: volumes, files, settings, provenance and the console.

Which file belongs to which tomogram is told by `names`.
"""
