"""YAML as papermill reads it, but strict: what a reader of the file could misunderstand is an error."""

import re
from typing import Any

import yaml

from kit.canonical import Json
from kit.errors import ParameterError


def parse(content: bytes, origin: str) -> Json:
    """Return the value of one YAML document; times stay text, as in papermill, so that both see the same.

    Args:
        content: the document, in UTF-8 or UTF-16 with a byte order mark.
        origin: what an error calls the document: its path, say.

    Raises:
        ParameterError: the content is no valid YAML (says the line), gives a key twice, or uses an alias. The message
            repeats nothing of the content.
    """
    try:
        return yaml.load(content, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        # what PyYAML quotes comes from the content, and may be a secret
        problem = re.sub(r"(['\"]).*\1", "…", error.problem or error.context or "unreadable", flags=re.DOTALL)
        raise ParameterError(f"{origin}: not valid YAML{place}: {problem}", "correct that line") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ParameterError(f"{origin}: not valid YAML", "save it as plain text in UTF-8, not deeply nested") from None


class _Loader(yaml.SafeLoader):
    # a copy of its own: removing the resolver from the class would change every other user of SafeLoader
    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's declaration
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            # a few nested aliases make a file of any size, and papermill would write them all out
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases are not accepted", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(problem="a key is given twice", problem_mark=key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)
