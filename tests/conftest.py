"""What is loaded before all tests, and their order: slow files first, so that two workers end together."""

import contextlib
import signal
from collections.abc import Iterator

import pytest
from made_once import close_store, open_store
from screen import virtual_screen

with contextlib.suppress(ImportError):
    # torch.optim imports Triton, whose LLVM crashes where that of the software renderer was loaded before it.
    import triton._C.libtriton  # noqa: F401


def pytest_configure(config: pytest.Config) -> None:
    """Open the store of what tests share, before any process of pytest-xdist begins; hear Ctrl-C.

    A shell starts what runs in its background deaf to SIGINT, and so would be every command of the tests.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = open_store()
    config.add_cleanup(lambda: close_store(folder))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests before the others, each file's tests in their order.

    Workers take whole files, for whose tests share what they made; a slow one taken last would run alone.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a screen in memory that windows of this process open on."""
    with virtual_screen(tmp_path_factory.mktemp("screen")) as name:
        yield name
