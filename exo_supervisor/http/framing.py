"""How an answer is framed, for its client to know where it ends (RFC 9112, section 6)."""

LAST_CHUNK = b"0\r\n\r\n"


def frame_head(head: bytes, date: bytes, length: int | None, *, is_old: bool, keep: bool) -> bytes:
    """Complete an answer's head; without a length the body goes in chunks, or ends by a close."""
    if is_old:
        head = head.replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    framing = b""
    if length is not None:
        framing = b"content-length: %d\r\n" % length
    elif not is_old:
        framing = b"transfer-encoding: chunked\r\n"
    if not keep:
        framing += b"connection: close\r\n"
    elif is_old:
        framing += b"connection: keep-alive\r\n"
    return head + date + framing + b"\r\n"


def chunk(data: bytes) -> bytes:
    """Frame a part of a body that goes in chunks; it is not empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunks(data: bytes) -> bytes:
    """Frame the last part of a body, which may be empty, and its end."""
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else LAST_CHUNK
