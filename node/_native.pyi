# The optional C extension; its sources are in native/.
from collections.abc import Iterable

def verify_signatures(sign_open: int, items: Iterable[tuple[bytes, bytes, bytes]], /) -> list[bool]: ...
