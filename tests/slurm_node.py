"""A Slurm of one node that a test starts for itself: controller, node and key, in a folder of its own."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
STARTS_S = 30.0


def require_slurm_packages():
    """Skip the test where no Slurm can be started."""
    missing = [name for name in PROGRAMS if _program(name) is None]
    if missing:
        pytest.skip(f"Slurm is not installed ({', '.join(missing)}): apt-get install slurmctld slurmd munge")
    if os.geteuid() != 0:
        pytest.skip("Slurm's daemons are started by root, which this is not")


def _program(name):
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@dataclass
class SlurmNode:
    """A running Slurm; ``environment`` is what its commands need."""

    folder: Path
    environment: dict

    def asked(self, *words):
        """The output of one of its commands."""
        done = subprocess.run(
            words, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def jobs(self):
        """Number, state and name of each job that waits, runs or is ending."""
        lines = self.asked("squeue", "--noheader", "--format=%A|%T|%j").splitlines()
        return [tuple(line.split("|")) for line in lines]

    def end_node(self):
        """Kill the node's daemon and all that it runs, as when a machine is lost."""
        for pid in _below(self._pid("slurmd")):
            os.kill(pid, signal.SIGKILL)
        os.kill(self._pid("slurmd"), signal.SIGKILL)
        self.asked("scontrol", "update", "NodeName=localhost", "State=DOWN", "Reason=lost")

    def start_node(self):
        """Start the node's daemon, and take it into service."""
        _start(self, "slurmd", "-N", "localhost", "-f", str(self.folder / "slurm.conf"))
        until = time.monotonic() + STARTS_S
        while self.asked("sinfo", "--noheader", "--format=%T").strip() not in ("idle", "mixed"):
            assert time.monotonic() < until, self.asked("sinfo")
            if "down" in self.asked("sinfo", "--noheader", "--format=%T"):
                self.asked("scontrol", "update", "NodeName=localhost", "State=RESUME")
            time.sleep(0.2)

    def _pid(self, daemon):
        return int((self.folder / f"{daemon}.pid").read_text())


def _below(pid):
    """The processes that a daemon began, and theirs; a job's belong to slurmstepd, which nobody owns."""
    parents = {}
    steps = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, fields = path.read_text().rsplit(")", 1)
        except OSError:
            continue
        number, parent = int(path.parent.name), int(fields.split()[1])
        parents[number] = parent
        if "(slurmstepd" in name and parent == 1:
            steps.append(number)
    found, more = [], [pid, *steps]
    while more:
        one = more.pop()
        found.append(one)
        more += [number for number, parent in parents.items() if parent == one]
    return [number for number in found if number != pid]


def _start(node, daemon, *words):
    environment = {**os.environ, **node.environment}
    log = (node.folder / f"{daemon}.out").open("wb")
    words = [_program(daemon), *words]
    assert subprocess.run(words, env=environment, stdout=log, stderr=log, timeout=60).returncode == 0, (
        log.name
    )


@contextmanager
def slurm_node(folder):
    """Yield a Slurm of one node, this machine, with two cores that need not be there."""
    require_slurm_packages()
    for name in ("state", "spool", "log", "munge"):
        (folder / name).mkdir(parents=True)
    (folder / "munge").chmod(0o755)
    key = folder / "munge" / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    port = 20000 + os.getpid() % 20000
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    (folder / "slurm.conf").write_text(
        f"""ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={port + 1}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=300
KillWait=2
SlurmdTimeout=10
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 RealMemory={memory_mb} State=UNKNOWN
PartitionName=all Nodes=localhost Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""
    )
    node = SlurmNode(folder, {"SLURM_CONF": str(folder / "slurm.conf")})
    try:
        _start(
            node,
            "munged",
            "--force",
            *(f"--{what}-file={folder}/munge/munge.{what}" for what in ("key", "pid", "log", "seed")),
            f"--socket={folder}/munge/munge.socket",
        )
        _start(node, "slurmctld", "-f", str(folder / "slurm.conf"))
        node.start_node()
        yield node
    finally:
        for path in (folder / "slurmd.pid", folder / "slurmctld.pid", folder / "munge" / "munge.pid"):
            _end(path)


def _end(pid_file):
    """End a daemon by its own number, and what it left running."""
    try:
        pid = int(pid_file.read_text())
        if pid_file.name == "slurmd.pid":
            for below in _below(pid):
                os.kill(below, signal.SIGKILL)
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):
        return
    until = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.1)
