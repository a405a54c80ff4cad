"""Messages: what a server sends on a stream of lines in JSON, many in one text, a JSON object a line."""

from __future__ import annotations

import msgspec

from protocol import gap_sentence


class Message(msgspec.Struct, gc=False):
    """A line, a gap, the word that lines are live from here on, or something that a later server may say."""

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
        """Return the sentence that tells of a gap, in the words of the server's text format."""
        return gap_sentence(self.lost, self.reason)


_decoder = msgspec.json.Decoder(Message)


def parse(text: str | bytes) -> list[Message]:
    """Read the messages of a text. Raises msgspec.MsgspecError."""
    return _decoder.decode_lines(text)
