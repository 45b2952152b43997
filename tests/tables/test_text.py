"""Numbers and results as short texts for people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_hpc.tables import text


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.2, "0 s"), (59.4, "59 s"), (60, "1 min"), (200, "3 min 20 s"), (3599.6, "1 h"), (7500, "2 h 5 min")],
)
def test_times_are_told_as_people_say_them(seconds, expected):
    assert text.duration(seconds) == expected


@given(st.floats(0, 10**7))
def test_a_time_is_told_to_the_second_below_an_hour(seconds):
    unit = {"s": 1, "min": 60, "h": 3600}
    words = text.duration(seconds).split()
    parsed = sum(int(number) * unit[name] for number, name in zip(words[::2], words[1::2], strict=True))
    assert abs(parsed - seconds) <= (0.5 if seconds < 3599 else 31)


def test_an_accuracy_has_its_deviation_where_there_is_one():
    row = {"test_accuracy_mean": "0.997", "test_accuracy_sd": "0.0002", "n": "5"}
    assert text.accuracy(row) == "99.70 ± 0.02 %"
    assert text.accuracy(row | {"n": "1", "test_accuracy_sd": ""}) == "99.70 %"


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
    first, *rows, last = text.summary(path).splitlines()
    assert first == "digits: 2 of 3 variants have results; the best by test accuracy, mean ± sd:"
    assert [row.split()[:2] for row in rows] == [["better", "95.00"], ["worse", "90.00"], ["wild:", "failed"]]
    assert "training of a seed 1 min 1 s" in rows[0]
    assert str(path.parent) in last
