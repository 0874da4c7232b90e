"""Several processes that ask for one thing at a time get what one of them made."""

import multiprocessing
import os
import time

import pytest
from made_once import STORE, close_store, made_once, open_store


def make_slowly(folder):
    time.sleep(0.2)
    (folder / "maker.txt").write_text(str(os.getpid()))


def ask(answers):
    answers.put((made_once("thing", make_slowly) / "maker.txt").read_text())


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv(STORE, str(tmp_path))
    return tmp_path


def test_one_process_makes_it_for_all(store):
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    processes = [context.Process(target=ask, args=(answers,)) for _ in range(3)]
    for process in processes:
        process.start()
    found = {answers.get(timeout=60) for _ in processes}
    for process in processes:
        process.join(60)
    assert len(found) == 1
    assert found <= {str(process.pid) for process in processes}


def test_what_failed_is_tried_again(store):
    def fail(folder):
        (folder / "half.txt").touch()
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        made_once("thing", fail)
    assert [path.name for path in made_once("thing", make_slowly).iterdir()] == ["maker.txt"]


def test_the_store_is_taken_away_by_the_process_that_opened_it(monkeypatch):
    monkeypatch.delenv(STORE)
    folder = open_store()
    assert open_store() is None
    assert folder.is_dir()
    close_store(folder)
    assert not folder.exists()
    assert STORE not in os.environ
