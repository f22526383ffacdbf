"""Renders an addendum to a record: how a deviation was handled, as HTML and as PDF/A-3a."""

from collections.abc import Mapping
from pathlib import Path

from kit.canonical import Json
from kit.errors import KitError, MissingLibraryError
from kit.present.templating import compact, environment, no_link, stylesheet, template_text
from kit.record.addenda import DATA, PAGE, PAPER
from kit.render.context import Attachment, RecordContext
from kit.render.guard import stamp
from kit.render.html import running, styled
from kit.render.pdf import render_pdf


def render_addendum(folder: Path, addendum: Mapping[str, Json], digest: str) -> list[KitError]:
    """Write `addendum.html` and `addendum.pdf` into a folder that holds `addendum.json`, whose SHA-256 is `digest`.

    Returns why there is no PDF, where its libraries are missing; the HTML is made all the same.

    Raises:
        RenderError: it can't be laid out.
    """
    name = f"{addendum['record_id']} A{addendum['number']}"
    state = stamp({"demonstration": addendum["demonstration"]})
    record = RecordContext(
        record_id=name,
        record_digest=digest,
        sealed=True,
        created=str(addendum["time"]),
        page_size=addendum["page_size"],
    )
    sheet = running(name, state, f"Addendum digest {digest}", record.page_size)
    css = compact(stylesheet() + template_text("kit.render", "page.css") + sheet)
    template = environment("kit.render", "kit.present").get_template("addendum.html")
    # the name of an account of the computer is no printed name [21 CFR 11.50]
    author = addendum["author"] if addendum["author"] != addendum["account"] else ""
    roles = [{"role": "Stated by", "name": author}, {"role": "Reviewed by"}, {"role": "Approved by"}]
    page = template.render(
        a=addendum, name=name, state=state, digest=digest, roles=roles, no_link=no_link, **styled(css)
    )
    (folder / PAGE).write_text(page, encoding="utf-8")
    data = Attachment(DATA, folder / DATA, "The addendum as data", "application/json", "Source")
    try:
        (folder / PAPER).write_bytes(render_pdf(page, record, [data]))
    except MissingLibraryError as error:
        return [error]
    return []
