"""The pause after Slurm refused a job."""

import threading

import pytest

from mnist_hpc.cluster.pause import FIRST, LONGEST, Pause


def wait(pause) -> tuple[threading.Thread, list[bool]]:
    """Wait for the end of a pause in another thread."""
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(pause.wait()))
    thread.start()
    return thread, answers


def test_all_refused_share_one_pause_which_grows_until_a_job_is_accepted():
    pause = Pause()
    assert pause.wait()
    assert pause.begin() == FIRST
    assert pause.begin() is None
    lengths = []
    for _ in range(5):
        pause.end()
        lengths.append(pause.begin())
    assert lengths == sorted(lengths)
    assert lengths[-1] == LONGEST
    pause.accepted()
    pause.end()
    assert pause.begin() == FIRST


@pytest.mark.parametrize(("end", "goes_on"), [(Pause.end, True), (Pause.stop, False)], ids=["room", "end of the run"])
def test_a_pause_ends_when_there_is_room_and_for_good_when_the_run_ends(end, goes_on):
    pause = Pause()
    pause.begin()
    thread, answers = wait(pause)
    end(pause)
    thread.join(10)
    assert answers == [goes_on]
    assert pause.wait() is goes_on
