"""The messages of a stream in JSON: many in one text, one object a line."""

from __future__ import annotations

import msgspec

from protocol import gap_sentence


class Message(msgspec.Struct, gc=False):
    """A line, a gap, the notice that lines are live from here on, or something that only later servers send."""

    type: str
    cursor: str = ""
    timestamp: str = ""
    pod: str = ""
    container: str = ""
    stream: str | None = None
    log: str = ""
    lost: int | None = None  # None: no longer known
    reason: str = ""

    def gap(self) -> str:
        """Return the sentence that reports a gap, as the server's text format has it."""
        return gap_sentence(self.lost, self.reason)


_decoder = msgspec.json.Decoder(Message)


def parse(text: str | bytes) -> list[Message]:
    """Read the messages of a text. Raises msgspec.MsgspecError."""
    return _decoder.decode_lines(text)
