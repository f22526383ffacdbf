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
    for part in _JSON_TOKEN.findall(text):
        if part in "}]":
            depth -= 1
            parts.append(part if last in ("{", "[") else "\n" + "  " * depth + part)
        else:
            if last in ("{", "[", ","):
                parts.append("\n" + "  " * depth)
            parts.append(part + (" " if part == ":" else ""))
            depth += part in ("{", "[")
        last = part
    return "".join(parts)


def _xml(text: str) -> str:
    lines: list[str] = []
    depth = 0
    open_line = False
    for part in (found for found in _XML_TOKEN.findall(text) if found.strip()):
        if not part.startswith("<"):
            lines[-1:] = [(lines[-1] if lines else "") + part]
            open_line = True
        elif part.startswith("</"):
            depth = max(depth - 1, 0)
            if open_line or (lines and lines[-1].lstrip().startswith(part.replace("</", "<")[:-1])):
                lines[-1] += part
            else:
                lines.append("  " * depth + part)
            open_line = False
        else:
            lines.append("  " * depth + part)
            depth += not part.startswith(("<?", "<!")) and not part.endswith("/>")
            open_line = False
    return "\n".join(lines)
