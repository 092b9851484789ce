from __future__ import annotations

import pytest

from client.arguments import from_words
from client.catalogue import Tool
from client.failures import SecretOnCommandLine, UsageFailure

TOOL = Tool(
    name="configure",
    title="",
    description="",
    input_schema={
        "type": "object",
        "$defs": {
            "Mode": {"enum": ["eco", "home"], "type": "string"},
            "Loop": {"anyOf": [{"$ref": "#/$defs/Loop"}, {"type": "integer"}]},
            "Tree": {
                "type": "object",
                "properties": {
                    name: {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]}
                    for name in ("left", "middle", "right")
                },
            },
            "Login": {
                "type": "object",
                "properties": {"pin": {"type": "string", "writeOnly": True}},
            },
        },
        "properties": {
            "text": {"type": "string"},
            "count": {"type": "integer"},
            "power": {"type": "number"},
            "on": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "hours": {"type": "array", "items": {"type": "integer"}},
            "window": {"type": "object"},
            "nothing": {"type": "null"},
            "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "mixed": {"type": ["integer", "string"]},
            "mode": {"$ref": "#/$defs/Mode"},
            "modes": {"type": "array", "items": {"$ref": "#/$defs/Mode"}},
            "level": {"enum": [1, 2, "max"]},
            "fixed": {"const": "yes"},
            "both": {"allOf": [{"$ref": "#/$defs/Mode"}, {"description": "x"}]},
            "loop": {"$ref": "#/$defs/Loop"},
            "tree": {"$ref": "#/$defs/Tree"},
            "free": {},
            "whatever": True,
            "password": {"type": "string"},
            "token": {"anyOf": [{"type": "string", "format": "password"}, {"type": "null"}]},
            "code": {"type": "string", "writeOnly": True},
            "login": {"$ref": "#/$defs/Login"},
        },
        "required": ["text"],
    },
)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("text=5", "5"),
        ("text=", ""),
        ("text=a=b", "a=b"),
        ('text:="5"', "5"),
        ("count=5", 5),
        ("count=-5", -5),
        ("count:=5", 5),
        ("power=5", 5.0),
        ("power=.5", 0.5),
        ("power=1e3", 1000.0),
        ("on=yes", True),
        ("on=FALSE", False),
        ("on:=true", True),
        ("tags=a, b", ["a", "b"]),
        ("tags=", []),
        ('tags=["a,b"]', ["a,b"]),
        ("hours=1,2", [1, 2]),
        ('window={"start": 1}', {"start": 1}),
        ('window:={"start": 1}', {"start": 1}),
        ("nothing=null", None),
        ("maybe=null", None),
        ("maybe=7", 7),
        ("maybe:=null", None),
        ("mixed=7", 7),
        ("mixed=seven", "seven"),
        ("mode=eco", "eco"),
        ("modes=eco,home", ["eco", "home"]),
        ("level=2", 2),
        ("level=max", "max"),
        ("fixed=yes", "yes"),
        ("both=home", "home"),
        ("free=1", "1"),
        ("free:=[1]", [1]),
        ("whatever=1", "1"),
    ],
)
def test_a_word_becomes_a_value_of_the_parameters_type(word, value):
    [found] = from_words(TOOL, [word]).values()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("count=five", "count must be an integer, not 'five'."),
        ("count=5.0", "count must be an integer"),
        ("count=1_000", "count must be an integer"),
        ("count=٣", "count must be an integer"),
        ("count:=true", "count must be an integer"),
        ("power=nan", "power must be a number"),
        ("power=1e999", "power must be a number"),
        ("power=1.2.3", "power must be a number"),
        ("power:=NaN", "power must be a number"),
        ("on=maybe", "on must be true or false"),
        ("hours=1,x", "hours must be an array of integer"),
        ("window=5", "window must be an object"),
        ("window:={", "(JSON after :=)"),
        ("window:=" + "[" * 100_000, "window must be an object"),
        ("maybe=x", "maybe must be an integer or null"),
        ("mode=turbo", "mode must be one of eco, home, not 'turbo'."),
        ("level=3", "one of 1, 2, max"),
        ("text=\udc80", "text must be a string"),
        ("count=" + "9" * 5000, "count must be an integer, not '9999"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_name_and_type(word, expected):
    with pytest.raises(UsageFailure) as caught:
        from_words(TOOL, [word])
    assert expected in caught.value.message
    assert len(caught.value.message) < 200


def test_a_schema_that_refers_to_itself_is_read_without_looping():
    assert from_words(TOOL, ["loop=3"]) == {"loop": 3}
    assert from_words(TOOL, ['tree={"left": null}']) == {"tree": {"left": None}}


@pytest.mark.parametrize("name", ["password", "token", "code", "login"])
@pytest.mark.parametrize("mark", ["=", ":="])
def test_a_secret_is_refused_and_never_repeated(name, mark):
    with pytest.raises(SecretOnCommandLine) as caught:
        from_words(TOOL, ["text=x", f'{name}{mark}"hunter2"'])
    assert name in caught.value.message
    assert "hunter2" not in caught.value.message


def test_a_misspelt_parameter_is_answered_with_its_neighbour_and_without_its_value():
    with pytest.raises(UsageFailure, match="Did you mean password") as caught:
        from_words(TOOL, ["pasword=hunter2"])
    assert "hunter2" not in caught.value.message


def test_a_word_that_is_not_an_assignment_is_not_repeated():
    with pytest.raises(UsageFailure, match="Argument 2") as caught:
        from_words(TOOL, ["text=x", "hunter2"])
    assert "hunter2" not in caught.value.message


def test_a_parameter_given_twice_is_refused():
    with pytest.raises(UsageFailure, match="twice"):
        from_words(TOOL, ["count=1", "count=2"])
