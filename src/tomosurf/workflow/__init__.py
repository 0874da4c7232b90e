"""A project run by Snakemake: a rule a step, a job a step of a tomogram, side by side here or on a cluster.

In: the steps of a project that must be made. Out: the same files as of a run in one process. Snakemake (an
extra) schedules and submits; what must be made, and whether it is whole, is for `tomosurf.steps` alone. Read
`run` first, then `jobs` and `Snakefile`.
"""
