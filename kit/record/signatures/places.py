"""Where each role signs: one frame a role, on the last page of a record's PDF.

Verifying a record holds its signatures to these places, so a change of them rejects what was signed before.
"""

from collections.abc import Mapping

from kit.record.signatures.statement import Role

PAGES: Mapping[str, tuple[float, float]] = {"A4": (595.28, 841.89), "Letter": (612, 792)}
"""Width and height of each page that a record is laid out for, in points (1/72 inch)."""

BOXES: Mapping[Role, tuple[int, int, int, int]] = {
    "executor": (51, 570, 544, 720),
    "reviewer": (51, 410, 544, 560),
    "approver": (51, 250, 544, 400),
}
"""Where each role signs on the last page, whatever its size: left, bottom, right and top, in points from its lower left
corner."""

TITLES: Mapping[Role, str] = {"executor": "Executed by", "reviewer": "Reviewed by", "approver": "Approved by"}
"""What stands before the printed name."""
