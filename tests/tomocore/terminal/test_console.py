"""What becomes of errors: one line, an exit status, and the rest of the batch done."""

import io
import logging
import os

import cyclopts
import pytest
from rich.console import Console

from tomocore.contract import Batch, InputError, one_line
from tomocore.files import require_writable_folder, writable_folder
from tomocore.terminal import console
from tomocore.terminal.console import Terminal, exit_status_of, log_to_console, progress_bar, status_of


def raising(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("a.mrc: bad"), 1),
        (OSError(28, "No space left on device", "a"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_status(error, status, capsys):
    assert exit_status_of(raising(error)) == status
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_wrong_usage_is_two():
    assert exit_status_of(raising(cyclopts.CycloptsError())) == 2


def test_a_bug_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        exit_status_of(raising(ZeroDivisionError()))


def test_brackets_in_a_message_are_kept(capsys):
    exit_status_of(raising(InputError("a[0].mrc: shape [1, 2]")))
    assert "a[0].mrc: shape [1, 2]" in capsys.readouterr().err


def test_names_between_colons_are_no_emoji(capsys):
    exit_status_of(raising(InputError("--distances A:B:C: no such pair")))
    Terminal().skipped("A:B:C", "its files exist")
    Terminal().failed("A:B:C")
    printed = capsys.readouterr()
    assert "A:B:C: no such pair" in printed.err
    assert "failed A:B:C" in printed.err
    assert printed.out == "skipped A:B:C: its files exist\n"


def test_a_failed_item_does_not_stop_the_batch(capsys):
    def work(item):
        if item == "b":
            raise InputError("b: bad")

    batch = Batch(Terminal())
    batch.each(["a", "b", "c"], work)
    assert batch.done == ["a", "c"]
    assert status_of(batch) == 1
    printed = capsys.readouterr()
    assert "b: bad" in printed.err
    assert "2 done, 0 skipped, 1 failed" in printed.out


def test_one_line_of_an_os_error_names_the_file():
    line = one_line(PermissionError(13, "Permission denied", "out/a.mrc"))
    assert line.startswith("out/a.mrc: permission denied")


def test_a_folder_that_cannot_be_made_is_an_input_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write there"):
        require_writable_folder(tmp_path / "file" / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot write there"):
        require_writable_folder(tmp_path)


def test_a_folder_that_nothing_was_put_into_is_taken_away_again(tmp_path):
    (tmp_path / "old").mkdir()
    for name, kept in (("new", False), ("old", True)):
        with pytest.raises(InputError), writable_folder(tmp_path / name):
            raise InputError("refused")
        assert (tmp_path / name).exists() == kept
    with writable_folder(tmp_path / "new") as folder:
        (folder / "result").touch()
    assert (tmp_path / "new" / "result").exists()


@pytest.fixture
def loggers_put_back():
    loggers = [logging.getLogger(name) for name in ("tomocore", "tomorois", "surfora", "tomosurf")]
    before = [(logger, logger.handlers, logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, handlers, level, propagate in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.mark.usefixtures("loggers_put_back")
def test_a_long_warning_is_one_line(capsys):
    log_to_console()
    logging.getLogger("surfora").warning("a[0].mrc: %s", "words " * 60)
    said = capsys.readouterr().err
    assert said.startswith("warning a[0].mrc: words")
    assert said.count("\n") == 1


@pytest.mark.usefixtures("loggers_put_back")
def test_what_was_said_is_not_said_again_until_the_next_command(capsys):
    for _ in range(2):
        log_to_console()
        for text in ("a.mrc: odd", "b.mrc: odd", "a.mrc: odd"):
            logging.getLogger("surfora").warning(text)
    assert capsys.readouterr().err.splitlines() == 2 * ["warning a.mrc: odd", "warning b.mrc: odd"]


def test_a_bar_within_another_stands_below_it(monkeypatch):
    drawn = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=drawn, force_terminal=True, width=100))
    with progress_bar("membranes") as outer:
        outer(1, 3)
        with progress_bar("ER medial") as inner:
            inner(2, 7)
            (bars,) = console._drawn
            assert [(task.description, task.completed, task.total) for task in bars.tasks] == [
                ("membranes", 1, 3),
                ("ER medial", 2, 7),
            ]
        assert [task.description for task in bars.tasks] == ["membranes"]
    assert not console._drawn
    with progress_bar("later") as later:
        later(1, 1)
    assert "membranes" in drawn.getvalue()
    assert "later" in drawn.getvalue()
