"""Downloads with limits: https only, so many bytes, so many seconds."""

import ipaddress
import time
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

BLOCK = 1 << 16


def check_url(url: str) -> None:
    """Refuse an address that is not https; http is good enough within this machine.

    Raises:
        ValueError: the address is refused.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return
    raise ValueError(f"only https addresses are fetched, not {url}")


def _is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def save(url: str, path: str | Path, max_bytes: int, timeout: float, deadline: float) -> None:
    """Fetch an address into a file.

    Args:
        url: https, or http on this machine; so is each address that it redirects to.
        path: the file to write.
        max_bytes: the most that is accepted.
        timeout: seconds that the server may be silent.
        deadline: seconds for the whole body.

    Raises:
        OSError: the network, the server or the disk failed; also too much, or too slow.
        ValueError: an address is refused.
    """
    import requests
    from urllib3.exceptions import HTTPError

    class CheckedSession(requests.Session):
        def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            check_url(request.url or "")
            return super().send(request, **options)

    headers = {"User-Agent": "textgen", "Accept-Encoding": "identity"}
    try:
        with (
            CheckedSession() as session,
            session.get(url, headers=headers, stream=True, timeout=timeout) as response,
            Path(path).open("wb") as file,
        ):
            response.raise_for_status()
            _copy(response.raw, file, max_bytes, deadline)
    except (requests.Timeout, requests.ConnectionError, HTTPError) as error:
        raise OSError(f"no connection to {urlsplit(url).hostname}") from error


def _copy(body: Any, file: BinaryIO, max_bytes: int, deadline: float) -> None:
    """Copy the body of an urllib3 response into a file, within limits."""
    end = time.monotonic() + deadline
    # read1 returns what has come, so that a drip is noticed.
    while block := body.read1(BLOCK, decode_content=True):
        file.write(block)
        if file.tell() > max_bytes:
            raise OSError(f"more than {max_bytes:,} bytes")
        if time.monotonic() > end:
            raise OSError(f"not finished in {deadline:g} seconds")
