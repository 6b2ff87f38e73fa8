"""Somebody with a browser that runs no script: opens pages, reads them, fills in the forms that are on them."""

import asyncio
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
from fastapi import FastAPI
from lxml import html

BASE = "http://zentra"


class Loop:
    """An event loop of its own thread: apps answer in it, whoever asks."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, asked: Coroutine[Any, Any, httpx.Response]) -> httpx.Response:
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result(timeout=300)


LOOP = Loop()


class Client:
    """A browser's side of HTTP: its cookies, its address; redirects are followed unless it is said."""

    def __init__(self, app: FastAPI) -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url=BASE, follow_redirects=True)
        self.cookies = self._client.cookies

    def get(self, url: str, **options: Any) -> httpx.Response:
        return LOOP.run(self._client.get(url, **options))

    def post(self, url: str, **options: Any) -> httpx.Response:
        return LOOP.run(self._client.post(url, **options))


@dataclass
class Page:
    """An answer as somebody sees it."""

    visitor: "Visitor"
    answer: httpx.Response
    tree: Any = field(init=False)

    def __post_init__(self) -> None:
        is_page = self.answer.headers.get("content-type", "").startswith("text/html")
        self.tree = html.document_fromstring(self.answer.text or "<p>") if is_page else None

    @property
    def status(self) -> int:
        return self.answer.status_code

    @property
    def path(self) -> str:
        return self.answer.url.raw_path.decode()

    @property
    def text(self) -> str:
        """What there is to read, blanks run together."""
        return " ".join(self.tree.find("body").text_content().split())

    def of(self, css_class: str) -> list[str]:
        """The texts of the elements of a class."""
        found = self.tree.xpath(f"//*[contains(concat(' ', @class, ' '), ' {css_class} ')]")
        return [" ".join(each.text_content().split()) for each in found]

    @property
    def buttons(self) -> list[str]:
        """The buttons on the page itself, not those of its head."""
        return [" ".join(button.text_content().split()) for button in self.tree.xpath("//main//button")]

    def links(self) -> list[str]:
        return [str(each) for each in self.tree.xpath("//main//a/@href")]

    def press(self, button: str, among: str = "", **fields: Any) -> "Page":
        """Fill in the form that has this button, and `among` in its text, and press it."""
        for form in self.tree.xpath("//form"):
            for found in form.xpath(".//button"):
                if " ".join(found.text_content().split()) == button and among in form.text_content():
                    return self._send(form, found, fields)
        raise AssertionError(f"no button {button!r} in a form about {among!r}: {self.buttons}")

    def _send(self, form: Any, button: Any, fields: dict[str, Any]) -> "Page":
        file = fields.pop("file", None)
        sent = [(name, value) for name, value in form.form_values() if name not in fields]
        known = {str(each) for each in form.xpath(".//@name")}
        assert fields.keys() <= known, f"the form has {sorted(known)}"
        for name, value in fields.items():
            sent += [(name, each) for each in ([value] if isinstance(value, str) else value)]
        if button.get("name"):
            sent.append((button.get("name"), button.get("value")))
        action = form.get("action") or self.path
        if (form.get("method") or "get").lower() == "get":
            return self.visitor.open(f"{action}?{urlencode(sent)}")
        if file is not None:
            return Page(self.visitor, self.visitor.client.post(action, data=dict(sent), files={"file": file}))
        return self.visitor.send(action, sent)


@dataclass
class Visitor:
    """One browser with its cookies."""

    app: FastAPI
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = Client(self.app)

    def open(self, path: str) -> Page:
        return Page(self, self.client.get(path))

    def send(self, path: str, fields: Any, **headers: str) -> Page:
        pairs = list(fields.items()) if isinstance(fields, dict) else fields
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return Page(self, self.client.post(path, content=urlencode(pairs), headers=headers))

    def sign_in(self, token: str, path: str = "/console/sign-in") -> Page:
        return self.open(path).press("Sign in", token=token)

    @property
    def csrf(self) -> str:
        """The word of this session, as its forms have it."""
        (word, *_) = self.open("/console/exceptions").tree.xpath("//input[@name='csrf']/@value")
        return str(word)
