"""What can be wrong with a body as a whole. The text of each is for the client."""

from __future__ import annotations


class BodyError(Exception):
    """A request body that cannot be used."""


class UnsupportedEncoding(BodyError):
    """The body has a Content-Encoding that is not known here, or more than one."""

    def __init__(self, encoding: str) -> None:
        super().__init__(encoding)
        self.encoding = encoding

    def __str__(self) -> str:
        return "the Content-Encoding must be one of gzip, deflate, snappy, zstd and identity"


class BodyTooLarge(BodyError):
    """The body is larger than the limit, in bytes, once it is decompressed."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"the body is larger than {self.limit} bytes, after decompression if there is any"


class Undecodable(BodyError):
    """The body is not what it is said to be: `form` is an encoding, or what records look like."""

    def __init__(self, form: str) -> None:
        super().__init__(form)
        self.form = form

    def __str__(self) -> str:
        return f"the body cannot be read as {self.form}"
