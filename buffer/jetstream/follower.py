"""Following a namespace: what the stream holds of it is fetched, what comes is heard, and no seam is left in between.

1. Hear the live subject, and keep what comes.
2. Fetch what is held, in batches, from any server that has a copy of the stream.
3. Ask the leader for the last number there is, and fetch up to it: the server that answered may lag behind.
4. Each message that is heard says which number came before it in the namespace. If that has been delivered, the message
   is next. If not, fetch again. What the leader does not have any more was let go.
5. Every now and then ask whether there is more: the last message that was sent may not have been heard.

There are no consumers. A server takes ten thousand subscriptions in 10 MiB, and keeps serving what it holds when there
is no leader.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from buffer.jetstream.desk import FIRST_BATCH
from buffer.jetstream.heard import Heard
from buffer.jetstream.held import Held
from buffer.jetstream.losses import Losses
from buffer.jetstream.message import BadMessage
from buffer.source import Source

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from nats.aio.msg import Msg

    from buffer.jetstream.batch import Fetched
    from buffer.jetstream.desk import Desk

_LAG_SECONDS = 0.05
# How often a number must be found not to have been given out, before the stream is written to, to be sure: a new leader
# may be a moment behind, and one that was cut off from its peers does not know what comes after it.
_BEYOND_TIMES = 3
_BEYOND_SECONDS = 0.3
_NO_LEADER_SECONDS = 0.25
# How long the leader may take to say which numbering the first load belongs to.
_LEADER_SECONDS = 1.0
_TURN_SECONDS = 0.005
_ATTEMPTS = 3
# Messages that are kept while what came before them is fetched.
_MAX_KEPT = 2000


class Follower:
    """Delivers one namespace, in the order of its numbers.

    `last` is the number up to which everything has been delivered, or is known to be gone. `held` knows which numbers
    that were seen elsewhere are doubtful, once `wait` has returned.
    """

    def __init__(self, namespace: str, desk: Desk) -> None:
        self.namespace = namespace
        self.readers = 0
        self.last = 0
        self.linger: asyncio.TimerHandle | None = None  # until it is forgotten, once it has no readers
        self.held = Held()
        self._has_restarted = False  # and does not know yet where the numbering begins
        self._is_complete = False  # whether the last fetch got everything there was
        self._is_led = True  # whether there was a leader to ask when everything was last fetched
        self._desk = desk
        self._subject = desk.subjects.of(namespace)
        self._live = desk.subjects.live(namespace)
        self._kept: deque[Heard] = deque()
        self._losses = Losses()
        self._filling: asyncio.Task[None] | None = None
        self._loaded = asyncio.Event()

    def start(self) -> None:
        """Hear the namespace, and fetch what there is of it."""
        self._desk.connection.hear(self._live, self._hear)
        self._desk.receiver.begin_load(self.namespace)
        self.refresh()

    def stop(self) -> None:
        """Hear no more of it, and deliver nothing any more."""
        self._desk.connection.unhear(self._live)
        self._drop()

    async def wait(self, number: int) -> None:
        """Return once what was there at first has been delivered, and everything up to this number.

        A number that the stream has not given out yet is not waited for.
        """
        began = self._desk.time()
        await self._loaded.wait()
        beyond = 0
        while number > self.last:
            highest = await self._desk.highest()
            if highest is None:
                await asyncio.sleep(_NO_LEADER_SECONDS)
            elif number > highest:
                beyond += 1
                if beyond >= _BEYOND_TIMES and number > (await self._desk.written(began) or number):
                    return
                await asyncio.sleep(_BEYOND_SECONDS)
            elif await self._refreshed() and number > self.last:
                # It was given out, and has gone since.
                self._losses.fetched(self.last + 1, number + 1)
                self.last = number
                self._desk.receiver.reach(self.namespace, number)

    def restart(self) -> None:
        """Begin anew: the numbering has."""
        self._drop()
        self.last, self._has_restarted = 0, True
        self.held = Held()
        self._losses = Losses()
        self._loaded.clear()
        self._desk.receiver.begin_load(self.namespace)
        self.refresh()

    def _drop(self) -> None:
        """Drop what was heard, and what is being fetched."""
        filling, self._filling = self._filling, None
        if filling is not None:
            filling.cancel()
        self._kept.clear()

    def refresh(self) -> None:
        """Fetch what there is and has not been delivered, up to what the leader has."""
        if self._filling is None:
            self._filling = asyncio.create_task(self._ending(self._fetch_all))

    def peek(self) -> None:
        """Fetch what there is already, if anything."""
        if not self._loaded.is_set():
            self.refresh()
        elif self._filling is None:
            self._filling = asyncio.create_task(self._ending(self._fetch))

    # What is heard

    def _hear(self, msg: Msg) -> None:
        heard = Heard.read(msg)
        if heard is None:
            return
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()  # what is not heard is fetched
        self._kept.append(heard)
        self._desk.schedule(self)

    def step(self) -> bool:
        """Deliver the next of what was heard, if it is its turn; tell whether there is more to deliver now."""
        if self._filling is not None or not self._kept:
            return False
        heard = self._kept[0]
        if heard.number <= self.last:
            self._kept.popleft()
        elif heard.previous == self.last > 0:
            self._kept.popleft()
            self._deliver(heard.number, heard.data)
        else:
            self._filling = asyncio.create_task(self._ending(lambda: self._fill_before(heard)))
            return False
        return bool(self._kept)

    async def _fill_before(self, heard: Heard) -> None:
        # Either nothing has been delivered yet, or it has gone from the stream since, or this is another stream.
        is_doubtful = not self.last or heard.previous < self.last
        if is_doubtful and not (await self._is_of_this_numbering() and await self._pass_over()):
            await asyncio.sleep(_NO_LEADER_SECONDS)
            return  # there will be another attempt
        if heard.previous > self.last:
            self._desk.filled += 1
            await self._fetch_up_to(heard.previous)
        if self._kept and self._kept[0] is heard:
            self._kept.popleft()
            if heard.number > self.last:
                self._deliver(heard.number, heard.data)

    # What is fetched

    async def _ending(self, fill: Callable[[], Awaitable[object]]) -> None:
        """Fill in one way or another, then go on with what was heard meanwhile."""
        try:
            await fill()
        finally:
            if self._filling is asyncio.current_task():
                self._filling = None
                if self._kept:
                    self._desk.schedule(self)

    async def _fetch_all(self) -> None:
        self._is_complete, self._is_led = False, True
        if not await self._pass_over() or not await self._fetch():
            return  # there will be another attempt
        last = await self._desk.leader.last(self._subject) if self._is_led else None
        if last is not None:
            await self._fetch_up_to(last)
            self._is_complete = True
        if not self._loaded.is_set():
            if last is not None:
                await self._is_of_this_numbering()  # and how far it reaches by now
            self.held.close(max(self.last, self._desk.highest_known()) + 1)
            self._loaded.set()
            self._desk.receiver.end_load(self.namespace)

    async def _pass_over(self) -> bool:
        """After a restart, begin where the stream does; tell whether that is known.

        A server that lags behind may hold what the numbering began anew without.
        """
        if not self._has_restarted:
            return True
        first = await self._desk.first()
        if first is None:
            return False
        if first > self.last + 1:
            self._losses.fetched(self.last + 1, first)
            self.last = first - 1
        self._has_restarted = False
        return True

    async def _refreshed(self) -> bool:
        """Fetch everything there is from now on; tell whether that was possible."""
        while self._filling is not None:  # it may have passed already the place where something is
            await asyncio.wait({self._filling})
        self._is_complete = False
        filling = self._filling = asyncio.create_task(self._ending(self._fetch_all))
        await asyncio.wait({filling})
        return self._is_complete

    async def _fetch_up_to(self, number: int) -> None:
        """Deliver everything up to a number that is there; return once that has been done."""
        while self.last < number:
            await self._fetch()
            if self.last >= number:
                return
            following = await self._desk.leader.first_from(self.last + 1, self._subject)
            if following is None:
                await asyncio.sleep(_NO_LEADER_SECONDS)
            elif not following or following > number:
                self._let_go(number)
            else:
                await asyncio.sleep(_LAG_SECONDS)  # it is there: the server that answers lags behind

    def _let_go(self, number: int) -> None:
        """Note that the stream has let go of everything up to a number."""
        self._losses.fetched(self.last + 1, number + 1)
        if self._loaded.is_set():
            # Of which source, its next message would say, and a farewell at the latest; unless its writer has died.
            self._desk.receiver.lose(Source(self.namespace), number, None)
        self.last = number

    async def _fetch(self) -> bool:
        """Deliver everything that the server which answers has; tell whether one has answered."""
        silent, size = 0, FIRST_BATCH
        while silent < _ATTEMPTS:
            async with self._desk.turn:
                messages, was_last = await self._desk.fetch(self.last + 1, self._subject, size)
            if messages and not await self._may_deliver():
                return False
            await self._deliver_all(messages)
            if was_last:
                return True
            silent, size = (0, size.next()) if messages else (silent + 1, size)
        return False

    async def _may_deliver(self) -> bool:
        """Tell whether what was fetched may be delivered. While there is no leader to ask, the first load is."""
        if self._loaded.is_set():
            return await self._is_of_this_numbering()
        if self._is_led:
            self._is_led = False
            with suppress(TimeoutError):
                async with asyncio.timeout(_LEADER_SECONDS):
                    self._is_led = await self._is_of_this_numbering()
        return True

    async def _deliver_all(self, messages: Sequence[Fetched]) -> None:
        turn_ends = self._desk.time() + _TURN_SECONDS
        for message in messages:
            if message.number > self.last:
                self._losses.fetched(self.last + 1, message.number + 1)
                self._deliver(message.number, message.data)
            if self._desk.time() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = self._desk.time() + _TURN_SECONDS

    async def _is_of_this_numbering(self) -> bool:
        """Tell whether what is there now has the epoch that is known; False if nobody can say.

        Otherwise lines could be delivered twice: once more with the new epoch.
        """
        is_known = await self._desk.check_epoch()
        await asyncio.sleep(0)  # a restart has cancelled this
        return is_known

    # What is delivered

    def _deliver(self, number: int, data: bytes) -> None:
        """Hand a message over, after what was lost before it."""
        self.last = number
        try:
            message = self._desk.decoder.decode(data)
        except BadMessage:
            self._desk.unreadable += 1
            return
        chunk, source = message.chunk, message.source
        if source.namespace != self.namespace:
            self._desk.unreadable += 1
            return
        loss = self._losses.see(source, message.place, 0 if chunk is None else chunk.count, number)
        if loss is not None:
            self._desk.receiver.lose(source, loss.number, loss.lines)
        self.held.add(number if chunk is not None else message.place.previous)
        if chunk is not None:
            chunk.seq = number
            self._desk.receiver.receive(chunk)
