"""The questions put to a model: a small one of these tests' own, behind a real socket."""

import http.server
import json
import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals import ask as asking
from evals.__main__ import FAILED, MODEL_FAILED, WRONG_USAGE, main
from evals.answer import numbers
from evals.ask import MOST_CALLS, MOST_TURNS, ask
from evals.chat import Chat, ModelFailed
from evals.scenarios import SCENARIOS
from evals.virtual_time import START

SUMMER = "a summer noon with the sun out"
PLANNED = "a plan that the user does not want"


class Model:
    """A model that says what a function of the conversation gives.

    Attributes:
        say: The function: of the messages, gives a message, or status and body of an answer.
        seen: Every request: its headers and its body.
    """

    def __init__(self):
        self.say = lambda _: words("Nevím.")
        self.seen = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.seen.append((self.path, dict(self.headers), body))
                told = outer.say(body["messages"])
                if isinstance(told, dict):
                    told = (200, json.dumps({"choices": [{"message": told}]}))
                status, text = told
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    @property
    def bodies(self):
        return [body for _, _, body in self.seen]


@pytest.fixture
def model():
    one = Model()
    thread = threading.Thread(target=one.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield one
    one.server.shutdown()
    thread.join()
    one.server.server_close()


@pytest.fixture(autouse=True)
def _no_key(monkeypatch):
    monkeypatch.delenv("EVALS_API_KEY", raising=False)


def words(text):
    return {"role": "assistant", "content": text}


def calls(tool, arguments, number=1):
    function = {"name": tool, "arguments": arguments}
    call = {"id": f"call_{number}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def reads_live_data(answer):
    """Make a model that reads live data once and answers with what a function makes of it."""

    def say(messages):
        if messages[-1]["role"] != "tool":
            return calls("get_live_data", "{}")
        return words(answer(json.loads(messages[-1]["content"])))

    return say


def honest(told):
    solar = told["energy"]["today"]["solar_wh"] / 1000
    power = told["solar"]["power_w"]
    return f"Dnes {solar:.1f} kWh, teď {power:,.0f} W.".replace(".", ",")


def put(model, name, *options):
    return main(["--ask", model.url, "--model", "small", "--only", name, *options])


def test_a_model_with_the_right_answer_passes(model, capsys):
    model.say = reads_live_data(honest)
    assert put(model, SUMMER) == 0
    out = capsys.readouterr().out
    assert "1 asked, 0 failed." in out
    assert "get_live_data" in out
    assert SCENARIOS[SUMMER].question in out


def test_a_model_with_a_wrong_answer_fails(model, capsys):
    model.say = reads_live_data(lambda _: "Dnes 3 kWh, teď 12 W.")
    assert put(model, SUMMER) == FAILED
    assert "energy.day.pv_wh is" in capsys.readouterr().out


def test_a_model_sees_instructions_tools_question_and_results_and_nothing_else(model):
    model.say = reads_live_data(honest)
    put(model, SUMMER)
    first, second = model.bodies
    assert first["model"] == "small"
    assert first.keys() == {"model", "messages", "tools"}
    system, user = first["messages"]
    assert system["role"] == "system"
    assert "OIG Cloud" in system["content"]
    assert user == {"role": "user", "content": SCENARIOS[SUMMER].question}
    assert {one["function"]["name"] for one in first["tools"]} >= {"check_auth", "get_live_data"}
    assert all(one["function"]["parameters"]["type"] == "object" for one in first["tools"])
    assert [one["role"] for one in second["messages"]] == ["system", "user", "assistant", "tool"]
    assert second["messages"][3]["tool_call_id"] == "call_1"
    assert {path for path, _, _ in model.seen} == {"/v1/chat/completions"}


def test_a_model_that_never_stops_calling_is_stopped(model):
    model.say = lambda messages: {
        **calls("list_boxes", "{}", len(messages)),
        "tool_calls": calls("list_boxes", "{}")["tool_calls"] * 5,
    }
    with Chat(model.url, "small", None) as chat:
        asked = ask(SCENARIOS[SUMMER], chat)
    assert len(model.seen) == MOST_TURNS
    assert len(asked.played.exchanges) == MOST_CALLS
    assert asked.answer == ""
    assert model.bodies[-1]["messages"][-1]["content"] == asking.TOO_MANY


@pytest.mark.parametrize("arguments", ["{", "[]", "7", "null", "{" * 10_000, '{"a": NaN'])
def test_arguments_that_are_not_an_object_are_rejected(model, arguments):
    def say(messages):
        return calls("get_live_data", arguments) if len(messages) == 2 else words("-")

    model.say = say
    with Chat(model.url, "small", None) as chat:
        asked = ask(SCENARIOS[SUMMER], chat)
    assert asked.played.exchanges == []
    assert model.bodies[-1]["messages"][-1]["content"] == asking.NO_OBJECT


def test_a_call_of_an_unknown_tool_is_answered_like_any_failure(model):
    model.say = lambda messages: calls("fly", "{}") if len(messages) == 2 else words("-")
    with Chat(model.url, "small", None) as chat:
        asked = ask(SCENARIOS[SUMMER], chat)
    assert [one.code for one in asked.played.exchanges] == ["unknown_tool"]


def test_the_user_replies_once_when_the_model_asks_a_question(model):
    model.say = lambda _: words("Shall I?")
    put(model, PLANNED)
    (first, second) = model.bodies
    assert first["messages"][-1]["content"] == SCENARIOS[PLANNED].question
    assert second["messages"][-1] == {"role": "user", "content": SCENARIOS[PLANNED].reply}


def test_a_model_that_changes_the_box_against_the_users_will_fails(model, capsys):
    def say(messages):
        tools = [one for one in messages if one["role"] == "tool"]
        if not tools:
            return calls("plan_change", '{"mode": "Home 3"}')
        if len(tools) == 1:
            plan = json.loads(tools[0]["content"])
            wanted = {"plan_token", "box_id", "change"} & plan.keys()
            sent = {name: plan[name] for name in wanted}
            # Older servers take the token alone.
            return calls("apply_change", json.dumps(taken(sent)))
        return words("Done.")

    def taken(sent):
        (apply,) = [
            one["function"]
            for one in model.bodies[0]["tools"]
            if one["function"]["name"] == "apply_change"
        ]
        return {name: sent[name] for name in sent if name in apply["parameters"]["properties"]}

    model.say = say
    assert put(model, PLANNED) == FAILED
    assert "1 writes arrived at the portal instead of 0" in capsys.readouterr().out


def test_simulated_time_stops_while_a_model_thinks(model, monkeypatch):
    times = []
    finish = asking.finish

    async def noting(here, scenario, played):
        times.append(here.time.now())
        await finish(here, scenario, played)

    monkeypatch.setattr(asking, "finish", noting)
    put(model, "no login at all")
    assert times == [START + asking.THINKING]


def test_questions_that_need_events_in_between_are_left_out(model, capsys):
    assert put(model, "a session that the portal has ended behind a header") == 0
    assert "0 asked" in capsys.readouterr().out
    assert model.seen == []


def test_the_key_comes_from_the_environment(model, monkeypatch):
    monkeypatch.setenv("EVALS_API_KEY", "from-environment")
    put(model, SUMMER)
    assert model.seen[0][1]["Authorization"] == "Bearer from-environment"


def test_the_key_comes_from_a_file(model, monkeypatch, tmp_path):
    monkeypatch.setenv("EVALS_API_KEY", "from-environment")
    (tmp_path / "key").write_text("from-file\n")
    put(model, SUMMER, "--key-file", str(tmp_path / "key"))
    assert model.seen[0][1]["Authorization"] == "Bearer from-file"


@pytest.mark.parametrize("key", ["", "two\nlines", "kl\u00ed\u010d", "a\x1bb", b"\xff\xfe"])
def test_an_invalid_key_is_wrong_usage(model, tmp_path, capsys, key):
    (tmp_path / "key").write_bytes(key if isinstance(key, bytes) else key.encode())
    assert put(model, SUMMER, "--key-file", str(tmp_path / "key")) == WRONG_USAGE
    assert capsys.readouterr().err.startswith("evals: The ")
    assert model.seen == []


def test_a_model_cannot_write_invisible_characters_to_the_terminal(model, capsys):
    model.say = lambda _: words("\x1b[2Jclean\u202e")
    put(model, SUMMER)
    out = capsys.readouterr().out
    assert "clean" in out
    assert not {"\x1b", "\u202e"} & set(out)


def test_without_a_key_no_authorization_is_sent(model):
    put(model, SUMMER)
    assert "Authorization" not in model.seen[0][1]


def test_a_refusal_ends_the_run_and_repeats_no_key(model, monkeypatch, capsys):
    monkeypatch.setenv("EVALS_API_KEY", "very-secret")
    model.say = lambda _: (401, "no such key")
    assert main(["--ask", model.url, "--model", "small"]) == MODEL_FAILED
    told = capsys.readouterr()
    assert "401: no such key" in told.err
    assert "very-secret" not in told.out + told.err
    assert len(model.seen) == 1


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "[" * 100_000,
        "[]",
        '{"choices": []}',
        '{"choices": [{"message": "text"}]}',
        '{"choices": [{"message": {"content": 7}}]}',
        '{"choices": [{"message": {"content": null, "tool_calls": {}}}]}',
        '{"choices": [{"message": {"content": null, "tool_calls": [{"id": 7}]}}]}',
        '{"choices": [{"message": {"content": "' + "x" * 5_000_000 + '"}}]}',
    ],
)
def test_an_invalid_answer_is_reported_as_one(model, body):
    model.say = lambda _: (200, body)
    with Chat(model.url, "small", None) as chat, pytest.raises(ModelFailed):
        chat.say([{"role": "user", "content": "?"}], [])


def test_an_address_without_a_listener_is_reported_as_one(model):
    url = model.url
    model.server.shutdown()
    model.server.socket.close()
    with Chat(url, "small", None) as chat, pytest.raises(ModelFailed, match="could not be asked"):
        chat.say([], [])


@pytest.mark.parametrize("url", ["", "localhost:1", "ftp://localhost/", "http://", "http://[::"])
def test_an_invalid_address_is_wrong_usage(url, capsys):
    assert main(["--ask", url, "--model", "small", "--only", SUMMER]) == WRONG_USAGE
    assert "must begin with http" in capsys.readouterr().err


def test_a_key_never_leaves_the_machine_unencrypted(monkeypatch, capsys):
    monkeypatch.setenv("EVALS_API_KEY", "very-secret")
    address = "http://192.0.2.1/v1"
    assert main(["--ask", address, "--model", "small", "--only", SUMMER]) == WRONG_USAGE
    assert "very-secret" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["--ask", "http://127.0.0.1:1/"],
        ["--only", "no such scenario"],
        ["--ask", "http://127.0.0.1:1/", "--model", "m", "--key-file", "/no/such/file"],
    ],
)
def test_wrong_usage_is_explained(options, capsys):
    assert main(options) == WRONG_USAGE
    assert capsys.readouterr().err.startswith("evals: ")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("19,5 kWh", 19.5),
        ("19.5 kWh", 19.5),
        ("1 234 W", 1234.0),
        ("1\u00a0234,5 W", 1234.5),
        ("1,234 W", 1234.0),
        ("1,234 kWh", 1.234),
        ("1.234,5 W", 1234.5),
        ("1,234.5 W", 1234.5),
        ("about 7", 7.0),
        ("-569 W", 569.0),
    ],
)
def test_numbers_are_read_as_people_write_them(text, number):
    assert number in [value for value, _ in numbers(text)]


@given(st.text(alphabet="0123456789., \u00a0x", max_size=40))
def test_any_text_can_be_searched_for_numbers(text):
    assert all(value >= 0 for value, _ in numbers(text))
    assert bool(numbers(text)) <= bool(re.search(r"\d", text))
