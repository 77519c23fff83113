"""The buffer between network and reader."""

import asyncio

from client.inbox import Inbox
from tests.client.fake_server import final, interim


async def drain(inbox):
    texts = []
    await inbox.close()
    while (transcript := await inbox.get()) is not None:
        texts.append(transcript.final_result.text or transcript.interim_result.text)
    return texts


async def test_newest_interim_is_kept():
    """Of unread interims of a segment only the newest is kept; finals are all kept, in order."""
    inbox = Inbox()
    for transcript in (
        interim("a"),
        interim("a b"),
        final("A b."),
        interim("c", segment=1),
        interim("d", segment=2),
        interim("d e", segment=2),
    ):
        await inbox.put(transcript)
    assert await drain(inbox) == ["a b", "A b.", "c", "d e"]


async def test_full_inbox_waits():
    """A full inbox takes no more until something is read, save a newer interim."""
    inbox = Inbox(capacity=2)
    await inbox.put(final("1"))
    await inbox.put(interim("2"))
    await inbox.put(interim("2 2"))
    third = asyncio.create_task(inbox.put(final("3")))
    await asyncio.wait([third], timeout=0.01)
    assert not third.done()
    assert (await inbox.get()).final_result.text == "1"
    await third
    assert await drain(inbox) == ["2 2", "3"]


async def test_closing_frees_everyone():
    """Nobody waits for ever at a closed inbox."""
    inbox = Inbox(capacity=1)
    await inbox.put(final("1"))
    blocked = asyncio.create_task(inbox.put(final("2")))
    await asyncio.wait([blocked], timeout=0.01)
    assert (await drain(inbox))[0] == "1"
    await blocked
    assert await Inbox(capacity=1).put(final("x")) is None


async def test_wait_tells_what_it_waited_for():
    """Waiting tells whether there is something to take."""
    inbox = Inbox()
    await inbox.put(final("1"))
    assert await inbox.wait()
    await drain(inbox)
    assert not await inbox.wait()
