"""On the loop of virtual time everybody waits as long as they asked, and nobody really does."""

import asyncio
import time

import pytest

from evals.virtual_time import START, VirtualTime, VirtualTimeLoop

HOUR = 3600.0


def on_virtual_time(main):
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main())


def test_an_hour_takes_no_time():
    async def main():
        clock = VirtualTime(asyncio.get_running_loop(), at=1_000_000.0)
        assert clock.now() == START
        await asyncio.sleep(HOUR)
        return clock.wall(), clock.now()

    begun = time.monotonic()
    assert on_virtual_time(main) == (1_000_000.0 + HOUR, START + HOUR)
    assert time.monotonic() - begun < HOUR / 60


def test_timers_run_in_the_order_of_their_times():
    async def main():
        order = []

        async def wait(seconds):
            await asyncio.sleep(seconds)
            order.append((seconds, asyncio.get_running_loop().time() - START))

        await asyncio.gather(wait(30.0), wait(5.0), wait(120.0))
        return order

    assert on_virtual_time(main) == [(5.0, 5.0), (30.0, 30.0), (120.0, 120.0)]


def test_a_timeout_fires_when_it_is_due():
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30.0):
                await asyncio.sleep(60.0)
        return asyncio.get_running_loop().time()

    assert on_virtual_time(main) == START + 30.0


def test_no_time_passes_while_a_thread_works():
    async def main():
        waiting = asyncio.create_task(asyncio.sleep(HOUR))
        await asyncio.to_thread(time.sleep, 0.01)
        passed = asyncio.get_running_loop().time() - START
        waiting.cancel()
        return passed

    assert on_virtual_time(main) == 0.0


def test_a_thread_that_fails_does_not_stop_the_time():
    def fail():
        raise OSError

    async def main():
        with pytest.raises(OSError):
            await asyncio.to_thread(fail)
        await asyncio.sleep(HOUR)
        return asyncio.get_running_loop().time()

    assert on_virtual_time(main) == START + HOUR


def test_no_time_passes_while_one_socket_has_something_for_another(tmp_path):
    async def main():
        async def echo(reader, writer):
            writer.write(await reader.readline())
            writer.close()

        server = await asyncio.start_unix_server(echo, tmp_path / "s")
        waiting = asyncio.create_task(asyncio.sleep(HOUR))
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(b"hello\n")
        answer = await reader.read()
        writer.close()
        server.close()
        waiting.cancel()
        return answer, asyncio.get_running_loop().time()

    assert on_virtual_time(main) == (b"hello\n", START)
