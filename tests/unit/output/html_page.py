"""A page as its tables, texts and addresses; whatever is not well-formed fails."""

from html.parser import HTMLParser

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Attributes: ``tables`` (anchor to rows of (text, value)), ``texts``, ``tags``, ``addresses``, ``anchors``."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tables, self.texts, self.tags, self.addresses, self.anchors = {}, [], [], [], []
        self._open, self._rows, self._cell = [], None, None
        self.feed(html)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        assert len(attributes) == len(attrs), f"an attribute twice in {tag}"
        self.tags.append(tag)
        if "id" in attributes:
            assert attributes["id"] not in self.anchors
            self.anchors.append(attributes["id"])
        self.addresses += [attributes[key] for key in ("src", "href", "action", "data", "srcset") if key in attributes]
        assert not any(name.startswith("on") for name in attributes)
        if tag == "div" and attributes.get("class") == "table":
            self._rows = self.tables.setdefault(attributes.get("id", len(self.tables)), [])
        if tag == "tr":
            self._rows.append([])
        if tag in {"td", "th"}:
            self._cell = ["", None]
        if tag == "data":
            self._cell = self._cell if self._cell is not None else ["", None]
            self._cell[1] = float(attributes["value"])
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, f"</{tag}> out of place"
        if tag in {"td", "th"}:
            self._rows[-1].append((self._cell[0].strip(), self._cell[1]))
            self._cell = None

    def handle_data(self, data):
        if self._open and self._open[-1] != "style":
            self.texts.append(data)
        if self._cell is not None:
            self._cell[0] += data

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def body(self, anchor):
        """Rows of a table without its headings."""
        return self.tables[anchor][1:]
