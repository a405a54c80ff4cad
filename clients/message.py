"""Messages: what a server sends on a stream of lines in JSON, many in one text, a JSON object a line."""

from __future__ import annotations

import msgspec

_BECAUSE = {
    "slow": "this reader was too slow",
    "evicted": "they had left the buffer before this reader came back",
    "restarted": "the server has started anew since this reader left",
}


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
        match self.lost:
            case None:
                lost = "an unknown number of lines lost"
            case 1:
                lost = "1 line lost"
            case number:
                lost = f"{number} lines lost"
        return f"[logurt] {lost}: {_BECAUSE.get(self.reason, self.reason)}"


_decoder = msgspec.json.Decoder(Message)


def parse(text: str | bytes) -> list[Message]:
    """Read the messages of a text. Raises msgspec.MsgspecError."""
    return _decoder.decode_lines(text)
