"""The rows of a run add up wherever they are shown."""

from core.data.row_counts import row_counts


def test_taught_and_replayed_rows_come_to_all_of_them() -> None:
    about = {"rows": 720, "taught": 315, "taught_in_rows": 180, "taught_rows": 180, "replay": 400}
    counts = row_counts(about)
    assert counts["taught_rows"] + counts["replay_rows"] == counts["rows"] == 720
    assert counts["own_rows"] == 180 and counts["identity_rows"] == 0
    beside = row_counts({**about, "identity_rows": 60, "own": 12})
    assert beside["own_rows"] + beside["identity_rows"] == beside["taught_rows"] == 180
    of_an_earlier_version = {"rows": 720, "taught": 390, "replay": 540}
    counts = row_counts(of_an_earlier_version)
    assert counts["taught_rows"] + counts["replay_rows"] == 720
    assert row_counts({"rows": 720, "taught": 4, "replay": 0})["taught_rows"] == 720
