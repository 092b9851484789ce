"""In which order files of tests run."""

from pathlib import Path
from types import SimpleNamespace

from .conftest import LONGEST, pytest_collection_modifyitems


def test_every_file_listed_as_long_exists():
    assert [name for name in LONGEST if not Path(__file__).with_name(f"{name}.py").exists()] == []


def test_the_longest_files_begin_and_the_tests_of_a_file_stay_in_their_order():
    given = [("test_b", 1), ("test_b", 2), (LONGEST[1], 1), ("test_a", 1), (LONGEST[0], 1)]
    items = [SimpleNamespace(path=Path(f"{name}.py"), number=number) for name, number in given]
    pytest_collection_modifyitems(items)
    assert [(item.path.stem, item.number) for item in items] == [
        (LONGEST[0], 1),
        (LONGEST[1], 1),
        ("test_b", 1),
        ("test_b", 2),
        ("test_a", 1),
    ]
