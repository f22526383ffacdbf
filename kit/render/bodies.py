"""Response bodies laid out for reading: indented, never rewritten, so no number or doubled name is lost."""

import json
import re

_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_XML_TOKEN = re.compile(r"<[^>]*>|[^<]+")


def readable(text: str) -> str:
    """Return JSON or XML indented, every token as it came; anything else as it is."""
    start = text.lstrip()[:1]
    if start in ("{", "["):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return text
        return _json(text)
    return _xml(text) if start == "<" and text.rstrip().endswith(">") else text


def _json(text: str) -> str:
    parts: list[str] = []
    depth = 0
    last = ""
    for token in _JSON_TOKEN.findall(text):
        if token in "}]":
            depth -= 1
            parts.append(token if last in ("{", "[") else "\n" + "  " * depth + token)
        else:
            if last in ("{", "[", ","):
                parts.append("\n" + "  " * depth)
            parts.append(token + (" " if token == ":" else ""))
            depth += token in ("{", "[")
        last = token
    return "".join(parts)


def _xml(text: str) -> str:
    lines: list[str] = []
    depth = 0
    open_line = False
    for token in (found for found in _XML_TOKEN.findall(text) if found.strip()):
        if not token.startswith("<"):
            lines[-1:] = [(lines[-1] if lines else "") + token]
            open_line = True
        elif token.startswith("</"):
            depth = max(depth - 1, 0)
            if open_line or (lines and lines[-1].lstrip().startswith(token.replace("</", "<")[:-1])):
                lines[-1] += token
            else:
                lines.append("  " * depth + token)
            open_line = False
        else:
            lines.append("  " * depth + token)
            depth += not token.startswith(("<?", "<!")) and not token.endswith("/>")
            open_line = False
    return "\n".join(lines)
