"""The template environment that JupyterLab's displays and the record share; every value is escaped on its way out."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from kit.findings import count
from kit.present.alike import alike
from kit.present.svg import svg_uri
from kit.present.text import cut, plain, slug, visible
from kit.present.values import value, wide
from kit.present.words import MET, VERDICTS, bytes_text, criticality, moment, runs

Link = Callable[[str, str], str]
"""Where an anchor of a kind (step, evidence, clause, trace) and key leads: `#id`, or empty where there is none."""


def template_text(package: str, name: str) -> str:
    """Return the text of a template or stylesheet in the `templates` folder of a package."""
    return files(package).joinpath("templates", name).read_text("utf-8")


@cache
def environment(*packages: str) -> Environment:
    """Return the environment that finds a template in the first package that has it.

    Values are escaped and their hidden characters written out even where a template forgets its filter; a name a
    template misspells is an error and never an empty cell.
    """

    def load(name: str) -> str | None:
        for package in packages:
            if files(package).joinpath("templates", name).is_file():
                return template_text(package, name)
        return None

    made = Environment(
        loader=FunctionLoader(load),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    made.filters |= {
        "visible": visible, "cut": cut, "value": value, "wide": wide, "slug": slug, "moment": moment, "count": count,
        "bytes": bytes_text, "criticality": criticality, "runs": runs, "alike": alike,
    }  # fmt: skip
    made.globals |= {"VERDICTS": VERDICTS, "MET": MET, "svg_uri": svg_uri}
    return made


@cache
def stylesheet() -> str:
    """Return the stylesheet of the displays; JupyterLab's theme and the reader's preference choose light or dark."""
    css = template_text("kit.present", "style.css")
    light = css[css.index("{") + 1 : css.index("}")]
    tokens = {"light": light, "dark": template_text("kit.present", "dark.css")}
    for name, declarations in tokens.items():
        css = css.replace(f"/* {name} */", declarations)
    return compact(css)


@cache
def lab_stylesheet() -> str:
    """Return the stylesheet of a display in JupyterLab, whose own rules for tables and lists are more specific."""
    return compact(stylesheet() + template_text("kit.present", "lab.css"))


def compact(css: str) -> str:
    """Return a stylesheet without comments and indentation: it is repeated in every output of a notebook."""
    text = "".join(part.split("*/", 1)[-1] for part in css.split("/*"))
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def no_link(kind: str, key: str) -> str:  # noqa: ARG001 - a `Link`
    """Lead nowhere: a display in JupyterLab stands alone."""
    return ""


def _finalize(item: Any) -> Any:
    return plain(item) if isinstance(item, str) and not isinstance(item, Markup) else item
