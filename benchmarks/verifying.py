"""Whether all answers are right: every request is sent, and every answer read. Nothing is timed."""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
from collections.abc import Sequence

from .answers import Answers
from .calls import ID, Question
from .processes import LOOPBACK
from .result import WrongAnswer

OK = b"HTTP/1.1 200"

THE_ID = b'"id":%d,' % ID

CONNECTIONS = 64
"""Callers of a pass. The first reading of an account comes a second after its login."""

PASSES = 24
"""How often all are sent at most. The first pass logs in. Workers that know only their own logins
need more, until each has been asked for every account."""

SECONDS = 300.0
"""Longest time of one pass: the first readings of all accounts take the portal a minute or two on a
busy machine."""


def verified(port: int, questions: Sequence[Question]) -> float:
    """Ask until all answers are right; return how many bytes one has.

    Raises:
        WrongAnswer: Some are still wrong after `PASSES`.
    """
    return asyncio.run(_verified(port, list(questions)))


async def _verified(port: int, questions: list[Question]) -> float:
    wrong: list[bytes] = []
    for _ in range(PASSES):
        sizes: list[int] = []
        wrong = await _ask_all(port, questions, sizes)
        if not wrong:
            return statistics.mean(sizes)
        random.shuffle(questions)
    sample = wrong[0].decode(errors="replace")
    raise WrongAnswer(f"{len(wrong)} of {len(questions)} answers, such as {sample}")


async def _ask_all(port: int, questions: Sequence[Question], sizes: list[int]) -> list[bytes]:
    wrong: list[bytes] = []
    # A session of the protocol knows the requests of all its connections by their ids.
    left, ids = iter(questions), itertools.count(ID)

    async def some() -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        try:
            for question in left:
                writer.write(question.request.replace(THE_ID, b'"id":%d,' % next(ids), 1))
                answer = await read_answer(reader)
                sizes.append(len(answer))
                if not _is_right(answer, question):
                    wrong.append(answer)
        finally:
            writer.close()

    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
        for _ in range(min(CONNECTIONS, len(questions))):
            group.create_task(some())
    return wrong


def _is_right(answer: bytes, question: Question) -> bool:
    return answer.startswith(OK) and all(word in answer for word in question.expected)


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """Read one whole answer.

    Raises:
        WrongAnswer: The connection ended before it.
    """
    answers = Answers()
    while data := await reader.read(65536):
        answer = answers.feed(data)
        if answer is not None:
            return answer
    raise WrongAnswer("a connection was closed before its answer")
