"""What jobs of a project may take, and where a cluster runs them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from tomocore.settings import Settings

Words = Annotated[str, StringConstraints(pattern=r"^[\w.,:=@/+\- ]*$")]
"""What goes into a command line: nothing that a shell would take for its own."""


class ClusterSettings(Settings):
    """What a job of one tomogram may take, and how Slurm is asked for it."""

    threads: int = Field(4, ge=1, le=256, description="CPU cores of a job on a cluster.")
    prediction_gpus: int = Field(
        0, ge=0, le=16, description="GPUs that a prediction asks for; confidence is computed on the CPU."
    )
    training_gpus: int = Field(
        0, ge=0, le=1, description="GPUs that a training asks for; 0: it is computed on the CPU."
    )
    memory_factor: float = Field(1.5, ge=1, le=20, description="Factor on the estimated memory of a job.")
    minutes: int = Field(240, ge=1, description="Minutes after which Slurm ends a job.")
    most_jobs: int = Field(100, ge=1, le=10000, description="Jobs that wait or run on the cluster at once.")
    partition: Words = Field("", description="Partition of Slurm, else its default.")
    gpu_partition: Words = Field("", description="Partition of jobs with a GPU, else the same.")
    account: Words = Field("", description="Account that the time is charged to, where one is needed.")
    options: Words = Field("", description="Further options of sbatch, such as --constraint=a100.")
    poll_seconds: int = Field(
        20,
        ge=1,
        le=600,
        description="Seconds between two looks at the queue; 10 more each time no job has ended, up to 180.",
    )
    stall_minutes: float = Field(
        30.0, gt=0, description="Minutes without a job, waiting or at work, after which a run gives up."
    )
