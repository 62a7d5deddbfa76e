"""Real servers, and requests as HTTP/1.1 and HTTP/2 send them: with a length, and without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .rows import sid
from .servers.site import SERVERS, Site

VIDEO, VOICE = "/twilio/tokens/video/", "/twilio/tokens/voice/"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


def unstated(body: bytes) -> Iterator[bytes]:
    """A body of which the client does not tell the length: chunked, or in HTTP/2 frames."""
    yield body[: len(body) // 2]
    yield body[len(body) // 2 :]


FORM = b"--x\r\nContent-Disposition: form-data; name=%s\r\n\r\n%s\r\n--x--\r\n"
MULTIPART = {"Content-Type": "multipart/form-data; boundary=x"}
URLENCODED = {"Content-Type": "application/x-www-form-urlencoded"}
SCOPED = {"identity": "anna", "video": {"room": "A"}}
NO_INCOMING = {"identity": "anna", "voice": {"outgoing": {"application_sid": sid("AP")}}}

READ = [
    (VIDEO, JSON, b'{"room": "A", "ttl": 60}', {**SCOPED, "ttl": 60}),
    (VIDEO, URLENCODED, b"room=A&ttl=60", {**SCOPED, "ttl": 60}),
    (VIDEO, MULTIPART, FORM % (b"room", b"A"), {**SCOPED, "ttl": 86_400}),
    (VOICE, JSON, b'{"incoming": false}', {**NO_INCOMING, "ttl": 3_600}),
    (VIDEO, JSON, b"{}", {"identity": "anna", "video": {}, "ttl": 86_400}),
    (VIDEO, JSON, b"", {"identity": "anna", "video": {}, "ttl": 86_400}),
]
REFUSED = [
    (VIDEO, JSON, b'{"rooom": "A"}', "unknown_field"),
    (VIDEO, JSON, b'{"room": "A"', "parse_error"),
    (VIDEO, JSON, b'{"room": "' + b"A" * 70_000 + b'"}', "parse_error"),
    (VIDEO, JSON, b" " * 3_000_000 + b"{}", "parse_error"),
    (VIDEO, MULTIPART, FORM % (b"rooom", b"A"), "unknown_field"),
    (VIDEO, MULTIPART, (FORM % (b"room", b"A"))[:-12], "parse_error"),
    (VIDEO, {}, b'{"room": "A"}', "unsupported_media_type"),
]


@pytest.mark.parametrize("server", SERVERS)
def test_a_body_is_read_or_refused_whether_or_not_its_length_is_stated(
    site: Site, server: str
) -> None:
    with site.served_by(server) as client:
        for path, headers, body, granted in READ:
            stated = client.post(path, content=body, headers=headers)
            assert site.granted(stated) == granted
            response = client.post(path, content=unstated(body), headers=headers)
            if server == "runserver":  # it hands out the chunks as they are on the wire
                assert (response.status_code, response.json()["code"]) == (400, "parse_error")
            else:
                assert site.granted(response) == granted
        for path, headers, body, code in REFUSED:
            for content in (body, unstated(body)):
                response = client.post(path, content=content, headers=headers)
                if server != "runserver" or content is body:
                    assert response.json()["code"] == code
                assert response.status_code in {400, 415}
                assert response.headers["Cache-Control"] == "no-store"
