"""What is said during a run: counts, the expected end, and the best rows at the end."""

import pytest

from mnist_hpc.plugins.progress import Job, Progress, duration, summary


def test_the_end_is_expected_by_the_last_times_and_the_threads():
    jobs = {
        1: Job("train cnn", "train", 2, 100.0),
        2: Job("train mlp", "train", 1, 50.0),
        3: Job("train regression", "train", 1, 10.0),
        4: Job("tabulate", "tabulate", 1, 4.0),
    }
    progress = Progress(jobs, slots=2)
    assert progress.begin(1, now=0.0) == "started: train cnn, the last time 1 min 40 s"
    # 60 s of cnn on both threads, and 50 + 10 + 4 on one of two.
    assert progress.left(now=40.0) == "about 1 min 32 s"
    line = progress.end(1, now=110.0)
    assert line == "1 of 4 done: train cnn, 1 min 50 s; about 50 s left"  # the longest alone takes 50


def test_a_job_that_never_ran_is_judged_by_its_kind_and_said_to_take_at_least_that():
    jobs = {number: Job(f"evaluate {number}", "evaluate", 1, None) for number in range(4)}
    progress = Progress(jobs, slots=1)
    assert progress.begin(0, now=0.0) == "started: evaluate 0"
    assert progress.left(now=1.0) == ""
    assert progress.end(0, now=5.0).endswith("; at least 15 s left")


def test_on_a_cluster_nobody_knows_the_end():
    progress = Progress({1: Job("train cnn", "train", 1, 100.0), 2: Job("train mlp", "train", 1, 1.0)}, slots=None)
    assert progress.begin(1, now=0.0).startswith("submitted: train cnn")
    assert progress.end(1, now=9.0) == "1 of 2 done: train cnn, 9 s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (60, "1 min"), (200, "3 min 20 s"), (3599.6, "1 h"), (7500, "2 h 5 min")],
)
def test_times_are_told_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_the_summary_shows_the_best_and_what_is_not_ok(tmp_path):
    path = tmp_path / "digits/tables/variants.csv"
    path.parent.mkdir(parents=True)
    path.write_text(
        "dataset,variant,status,n,test_accuracy_mean,test_accuracy_sd,train_seconds_mean\n"
        "digits,worse,ok,5,0.9,0.01,1\n"
        "digits,better,ok,1,0.95,,61\n"
        "digits,wild,failed,0,,,\n"
        "circle,circle-3,ok,5,1.0,0,1\n"
    )
    first, *rows, last = summary(path).splitlines()
    assert first == "digits: 2 of 3 variants have results; the best by test accuracy, mean ± sd:"
    assert [row.split()[:2] for row in rows] == [["better", "95.00"], ["worse", "90.00"], ["wild:", "failed"]]
    assert "training of a seed 1 min 1 s" in rows[0]
    assert str(path.parent) in last
