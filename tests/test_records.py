"""What goes when a table of failures is full: found at once, and the same as by a search."""

from hypothesis import given
from hypothesis import strategies as st

from server.cache.records import Records, weakest


class Tally:
    def __init__(self, telling):
        self.telling = telling
        self.stays = False


def weigh(tally):
    return None if tally.stays else tally.telling


def made(*telling):
    records = Records()
    for number, count in enumerate(telling):
        records[number] = Tally(count)
        records.failed(number)
    return records


def test_the_oldest_that_tells_nothing_goes_first_even_when_it_would_stay():
    records = made(1, 0, 0)
    records[1].stays = True
    assert records.first_to_go(weigh) == 1
    records.failed(1)
    assert records.first_to_go(weigh) == 2


def test_else_the_oldest_with_the_fewest_goes():
    records = made(3, 2, 5, 2)
    assert records.first_to_go(weigh) == 1
    records.failed(1)
    assert records.first_to_go(weigh) == 3


def test_else_none():
    records = made(1, 2)
    for record in records.values():
        record.stays = True
    assert records.first_to_go(weigh) is None
    assert made().first_to_go(weigh) is None


def test_what_is_told_later_takes_a_record_out_of_the_first_to_go():
    records = made(0, 1)
    records[0].telling = 2
    records.told(0)
    assert records.first_to_go(weigh) == 1


STEPS = st.lists(
    st.tuples(st.sampled_from(["fail", "tell", "drop", "clear"]), st.integers(0, 5)), max_size=80
)


@given(STEPS)
def test_what_is_found_at_once_is_what_a_search_would_find(steps):
    records = Records()
    for what, name in steps:
        match what:
            case "fail":
                records.setdefault(name, Tally(0))
                records.failed(name)
            case "tell" if name in records:
                records[name].telling += 1
                records.told(name)
            case "drop" if name in records:
                del records[name]
            case "clear" if not name:
                records.clear()
        assert records.first_to_go(weigh) == weakest(records, weigh)
