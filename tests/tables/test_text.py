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


# Rows of CSV files are text; pandas makes numbers of them, and NaN of what is empty.
READERS = [
    lambda row: row,
    lambda row: {key: float(value or "nan") for key, value in row.items()} | {"n": int(row["n"])},
]


@pytest.mark.parametrize("read", READERS, ids=["csv", "pandas"])
def test_an_accuracy_has_its_deviation_where_there_is_one(read):
    row = {"test_accuracy_mean": "0.997", "test_accuracy_sd": "0.0002", "n": "5", "successes": ""}
    assert text.accuracy(read(row)) == "99.70 ± 0.02 % (n = 5)"
    assert text.accuracy(read(row | {"n": "1", "test_accuracy_sd": ""})) == "99.70 % (n = 1)"


@pytest.mark.parametrize("read", READERS, ids=["csv", "pandas"])
def test_the_seeds_of_a_toy_problem_are_counted(read):
    row = {"test_accuracy_mean": "0.9965", "test_accuracy_sd": "0.02", "n": "40", "success": "0.99"}
    row |= {"successes": "38", "trials": "40", "success_ci95_low": "0.8308", "success_ci95_high": "0.9939"}
    expected = "38 of 40 seeds reach 99 % (95 % interval of the share: 83 to 99 %); mean test accuracy 99.65 %"
    assert text.accuracy(read(row)) == expected


@pytest.mark.parametrize("read", READERS, ids=["csv", "pandas"])
def test_a_difference_carries_its_interval(read):
    row = {"difference_mean": "0.00054", "difference_ci95_low": "-0.0003", "difference_ci95_high": "0.0014", "n": "5"}
    assert text.difference(read(row)) == "+0.05 points (95 % interval −0.03 to +0.14, n = 5)"
    single = row | {"n": "1", "difference_ci95_low": "", "difference_ci95_high": ""}
    assert text.difference(read(single)) == "+0.05 points (no interval, n = 1)"


def test_the_summary_chooses_by_validation_and_shows_what_is_not_ok(tmp_path):
    path = tmp_path / "digits/tables/variants.csv"
    path.parent.mkdir(parents=True)
    path.write_text(
        "dataset,variant,status,n,test_accuracy_mean,test_accuracy_sd,validation_accuracy_mean,train_seconds_mean\n"
        "digits,lucky,ok,5,0.95,0.01,0.91,1\n"
        "digits,better,ok,1,0.94,,0.93,61\n"
        "digits,wild,failed,0,,,,\n"
        "circle,circle-3,ok,5,1.0,0,1.0,1\n"
    )
    first, *rows, last = text.summary(path).splitlines()
    assert first == "digits: 2 of 3 variants have results; by validation accuracy, highest first:"
    assert [row.split()[0] for row in rows] == ["better", "lucky", "wild:"]
    assert "validation 93.00 %, test 94.00 %" in rows[0]
    assert "training of a seed 1 min 1 s" in rows[0]
    assert str(path.parent) in last
