"""The hash table behaves as a dict of bounded size, whatever keys a peer chooses."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.lookup import find, insert, make_lookup, remove

CAPACITY = 12

# Few different words, so that keys meet again; large ones, so that all 64 bits count.
words = st.sampled_from([np.uint64(word) for word in (0, 1, 2, 1 << 32, (1 << 63) + 5, (1 << 64) - 1)])
keys = st.tuples(words, words, words)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), keys, st.integers(0, 1000)),
        st.tuples(st.just("remove"), keys, st.just(0)),
        st.tuples(st.just("find"), keys, st.just(0)),
    ),
    max_size=120,
)


@given(operations, st.integers(0, 2**64 - 1))
def test_table_agrees_with_a_dict_through_any_churn(
    steps: list[tuple[str, tuple[int, int, int], int]], seed: int
) -> None:
    lookup = make_lookup(CAPACITY, seed)
    model: dict[tuple[int, int, int], int] = {}
    for operation, key, value in steps:
        if operation == "insert":
            accepted = insert(lookup, *key, value)
            assert accepted == (key in model or len(model) < CAPACITY)
            if accepted:
                model[key] = value
        elif operation == "remove":
            assert remove(lookup, *key) == (model.pop(key, None) is not None)
        else:
            assert find(lookup, *key) == model.get(key, -1)
    assert lookup.state[1] == len(model)
    for key, value in model.items():
        assert find(lookup, *key) == value


def test_full_table_refuses_a_new_key_and_still_updates_an_old_one() -> None:
    lookup = make_lookup(2, 1)
    assert insert(lookup, 1, 0, 0, 10)
    assert insert(lookup, 2, 0, 0, 20)
    assert not insert(lookup, 3, 0, 0, 30)
    assert insert(lookup, 1, 0, 0, 11)
    assert find(lookup, 1, 0, 0) == 11
    assert find(lookup, 3, 0, 0) == -1


def test_seeds_differ_between_tables() -> None:
    assert make_lookup(4).state[0] != make_lookup(4).state[0]
