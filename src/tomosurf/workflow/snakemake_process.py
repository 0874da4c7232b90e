"""The process that Snakemake runs in: it ends with the run that started it, however that ends."""

from __future__ import annotations

import sys

from tomocore.machine import end_with_parent


def main() -> None:
    """Run Snakemake on the words after the number of the parent process."""
    end_with_parent(int(sys.argv[1]))
    from snakemake.cli import main as snakemake

    snakemake(sys.argv[2:])


if __name__ == "__main__":
    main()
