"""What this machine has for a run: cores, threads, memory, and the processes that run on it."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver, get_context, parent_process, set_start_method
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any


def cores(jobs: int | None) -> int:
    """How many CPU cores to use: as asked, at least one, else all that this process may have."""
    if jobs is not None:
        return max(jobs, 1)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_threads(count: int) -> None:
    """Let compiled kernels (and PyTorch, where it is loaded) use that many threads in this process."""
    import numba

    numba.set_num_threads(min(count, int(getattr(numba.config, "NUMBA_NUM_THREADS"))))  # noqa: B009
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def available_memory_bytes() -> int:
    """Bytes of memory that this process can have now, or a generous guess where the system does not say.

    The least of what the machine has free, what a container's limit leaves, and what the process's own
    limit (``ulimit -v``) leaves.
    """
    return max(0, min(_free_on_machine(), _left_in_container(), _left_to_process()))


def _free_on_machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return 8 * 2**30


def _left_in_container() -> int:
    """What the limit of a control group (version 2, then 1) leaves, pages of read files not counted."""
    for folder, limit, used, files in (
        ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most = int((Path(folder) / limit).read_text())
            now = int((Path(folder) / used).read_text())
            told = (line.split() for line in (Path(folder) / "memory.stat").read_text().splitlines())
            return most - now + next((int(line[1]) for line in told if line[0] == files), 0)
        except (OSError, ValueError, IndexError):
            continue
    return sys.maxsize


def _left_to_process() -> int:
    if sys.platform == "win32":
        return sys.maxsize
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    try:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        taken = 0
    return limit - taken


@dataclass(frozen=True)
class ProcessMark:
    """A process that no other is taken for: where it runs, its number there, and when it began."""

    place: str  # hash of machine, boot and container, within which numbers of processes mean one thing
    number: int
    start: str  # clock ticks since boot, or "0" where the system does not say


@cache
def _place() -> str:
    parts = [platform.node(), f"{uuid.getnode():x}"]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:8]


def this_process() -> ProcessMark:
    """The process that runs this."""
    return ProcessMark(_place(), os.getpid(), _start_and_state(os.getpid())[0])


def is_alive(process: ProcessMark) -> bool | None:
    """Whether a process still runs; None where this machine cannot tell, as of a process on another one."""
    if process.place != _place() or os.name == "nt":  # where signal 0 would end the process
        return True if process.number == os.getpid() and process.place == _place() else None
    try:
        os.kill(process.number, 0)
    except (ProcessLookupError, OverflowError):  # the latter of no number that a process can have
        return False
    except OSError:
        pass  # another user's
    start, state = _start_and_state(process.number)
    return state not in ("Z", "X") and ("0" in (start, process.start) or start == process.start)


def _start_and_state(number: int) -> tuple[str, str]:
    """When a process began, in ticks since boot ("0": unknown), and its state's letter ("Z": dead)."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "0", "?"
    return fields[19], fields[0]


class Terminated(KeyboardInterrupt):
    """The system or a batch queue asks the process to end, by the signal of that number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Within it SIGTERM and SIGHUP end the work as Ctrl-C does: what is open is closed and taken away.

    They raise Terminated in the main thread, once; those that are ignored (nohup) stay so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[signal.Signals, Any] = {}

    def end(number: int, frame: FrameType | None) -> None:
        for one in before:
            signal.signal(one, signal.SIG_IGN)
        raise Terminated(number)

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN:
            before[getattr(signal, name)] = signal.signal(getattr(signal, name), end)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def say_interrupted_while_loading() -> None:
    """From here on an interrupt that nobody catches is one line, not a traceback; commands load seconds."""
    usual = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            print("interrupted", file=sys.stderr)
        else:
            usual(kind, error, trace)

    sys.excepthook = hook


class WorkerPool(ProcessPoolExecutor):
    """Processes for parts of a run that end with this one, whatever ends it, and leave signals to it.

    A run that is interrupted kills them; what they had begun to write is for `remove_leftovers`.
    """

    def __init__(self, workers: int, threads: int = 1, modules: Sequence[str] = ()) -> None:
        super().__init__(workers, _context(modules), _begin_worker, (threads,))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function in a worker, which is started here if there are too few."""
        with signals_held():
            return super().submit(fn, *args, **kwargs)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if kind is not None:
            for process in list((self._processes or {}).values()):
                process.kill()
            self.shutdown(wait=True, cancel_futures=True)
        return super().__exit__(kind, error, trace)


def load_for_workers(modules: Sequence[str]) -> None:
    """Begin to load what the workers of pools to come need, beside this process (on Linux; else nothing)."""
    if sys.platform == "linux":
        _context(modules)
        with signals_held():
            forkserver.ensure_running()


def _context(modules: Sequence[str]) -> Any:
    """How workers are begun: not forked from here, since VTK, Open3D and numba's threads survive no fork.

    Where it can be, a server that has only loaded ``modules``, once for all workers, is forked instead.
    """
    context = get_context("forkserver" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        context.set_forkserver_preload(list(modules))
    return context


@contextmanager
def signals_held() -> Iterator[None]:
    """Signals wait until it is left; processes begun within never get them: only their parent acts.

    To block them in this thread is not enough: another one, as PyTorch has, takes them, and Python then acts
    in the main thread all the same. So there they are kept by handlers, and come when these are gone.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    came: list[int] = []

    def tell() -> None:
        for number in came:
            signal.raise_signal(number)

    with ExitStack() as stack:
        stack.callback(tell)
        if threading.current_thread() is threading.main_thread():
            for number in numbers:
                handler = signal.getsignal(number)
                if handler is not None:  # one that Python did not set cannot be put back
                    stack.callback(signal.signal, number, handler)
                    signal.signal(number, lambda number, frame: came.append(number))
        held = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        stack.callback(signal.pthread_sigmask, signal.SIG_SETMASK, held)
        yield


PR_SET_PDEATHSIG = 1
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
KEPT_BYTES = 2**30


def _begin_worker(threads: int) -> None:
    """Tie a worker's life to its parent's, by a thread, and by the kernel where it is asked to.

    The kernel ends it with the server it was forked from, which ends with the parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_when_parent_has, daemon=True).start()
    end_with_parent(os.getppid())
    set_start_method("spawn", force=True)  # else numba makes a lock that a killed process leaves behind
    keep_freed_memory()
    use_threads(threads)


def keep_freed_memory() -> None:
    """From here on this process makes large arrays of what it freed, of up to 1 GiB (glibc; else nothing).

    To have each one emptied anew by the system takes longer than many a pass over it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def end_with_parent(parent: int) -> None:
    """From here on the kernel ends this process with the one that started it (on Linux; else nothing)

    ``parent`` is its number as it was then: where it is no more, this process ends at once.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the kernel was told
            os._exit(1)


def _end_when_parent_has() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
