from __future__ import annotations

from delivery.cursor import Cursor
from delivery.expiry import EXPIRE_SECONDS
from delivery.reader import Start
from tests.buffer.factories import EPOCH
from tests.delivery.doubles import Rig, gap_of


def test_an_expiry_is_done_in_slices_and_counts_what_leaves_in_each() -> None:
    rig = Rig()
    for number in range(100):
        rig.publish(str(number))
    client = rig.join(room=0, start=Start(cursor=Cursor(EPOCH, 11, 0)))
    rig.clock.tick = EXPIRE_SECONDS / 10
    rig.hub.expire(float("inf"))
    assert 80 < rig.store.statistics().chunks < 100
    rig.clock.tick = 0
    rig.settle()
    assert rig.store.statistics().chunks == 0
    lost = sum(gap_of(event)[0] or 0 for event in client.events() if event.kind == "gap")
    assert lost + [event.kind for event in client.events()].count("line") == 90


def test_an_expiry_that_is_under_way_is_not_doubled_and_keeps_what_arrives_meanwhile() -> None:
    rig = Rig(max_age=60)
    for number in range(100):
        rig.publish(str(number), arrived=100.0)
    rig.clock.tick = EXPIRE_SECONDS / 10
    for _ in range(5):
        rig.hub.expire(161.0)
    assert rig.store.statistics().chunks > 80
    rig.publish("new", arrived=161.0)
    rig.clock.run_due()
    assert [chunk.seq for log in rig.store.rings["n"].logs.values() for chunk in log.chunks.from_seq(0)] == [101]
    rig.clock.tick = 0
    rig.hub.expire(1e9)
    assert not rig.store.rings
