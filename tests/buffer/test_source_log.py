from __future__ import annotations

from buffer.source_log import SOURCE_LOG_OVERHEAD, SourceLog
from tests.buffer.factories import chunk, source


def test_an_empty_log_counts_its_source() -> None:
    log = SourceLog(source())
    assert (log.lines, log.bytes, log.evicted_seq) == (0, SOURCE_LOG_OVERHEAD + source().size, 0)


def test_a_log_counts_the_lines_and_bytes_of_its_chunks() -> None:
    log, chunks = SourceLog(source()), [chunk(1, "a", "b"), chunk(3, "c")]
    empty = log.bytes
    for one in chunks:
        log.append(one)
    assert (len(log.chunks), log.lines) == (2, 3)
    assert log.bytes - empty == chunks[0].size + chunks[1].size


def test_the_oldest_chunk_is_evicted_and_its_number_remembered() -> None:
    log = SourceLog(source())
    for seq in (2, 5, 9):
        log.append(chunk(seq, "x"))
    assert [log.evict().seq, log.evict().seq] == [2, 5]
    assert (log.evicted_seq, log.lines) == (5, 1)


def test_a_log_whose_chunks_have_all_left_counts_as_an_empty_one() -> None:
    log = SourceLog(source())
    log.append(chunk(1, "a", "b"))
    log.evict()
    assert (log.lines, log.bytes, len(log.chunks)) == (0, SOURCE_LOG_OVERHEAD + source().size, 0)
