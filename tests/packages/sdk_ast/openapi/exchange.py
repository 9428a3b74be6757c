"""What a validator of whole exchanges (openapi-core) makes of a client's requests and a server's responses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml


def axes_of(directory: Path) -> list[str]:
    """``wire`` where a request that the old document allows is refused by the new one, or a response the other way round.

    Each exchange of ``client.yaml`` has to be right by the document of who sends it.
    """
    client = directory / "client.yaml"
    client = client if client.is_file() else directory / "client" / "client.yaml"
    old, new = (_document(directory / side) for side in ("old", "new"))
    broken = False
    for one in yaml.safe_load(client.read_text(encoding="utf-8")):
        sender, reader = (old, new) if "request" in one else (new, old)
        assert (why := _refused(sender, one)) is None, f"{directory}: {one} is wrong for who sends it: {why!r}"
        broken = broken or _refused(reader, one) is not None
    return ["wire"] if broken else []


def _document(side: Path) -> Any:
    from openapi_core import OpenAPI

    return OpenAPI.from_file_path(str(next(p for p in sorted(side.iterdir()) if p.stem == "openapi")))


def _refused(document: Any, one: dict[str, Any]) -> Exception | None:
    from openapi_core.testing import MockRequest, MockResponse

    said = one.get("request") or one["response"]
    media = said.get("media", "")
    data = b""
    if "body" in said:
        value = said["body"]
        text = json.dumps(value) if "json" in media else urlencode(value) if "urlencoded" in media else str(value)
        data = text.encode()
    try:
        if "request" in one:
            request = MockRequest(
                said.get("server", "http://a.example"),
                said["method"],
                said["path"],
                args=said.get("query"),
                headers=said.get("headers"),
                cookies=said.get("cookies"),
                data=data,
                content_type=media,
            )
            document.validate_request(request)
        else:
            request = MockRequest("http://a.example", said["method"], said["path"])
            response = MockResponse(data, said["status"], said.get("headers"), media)
            document.validate_response(request, response)
    except Exception as error:  # openapi-core has a tree of them
        return error
    return None
