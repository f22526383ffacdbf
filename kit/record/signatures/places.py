"""Where each role signs: one frame a role, on the last page of a record's PDF.

Verifying a record holds its signatures to these places, so a change of them rejects what was signed before.
"""

from collections.abc import Mapping

from kit.record.signatures.statement import Role

PAGE = (595.28, 841.89)
"""Width and height of the page, A4, in points (1/72 inch)."""

BOXES: Mapping[Role, tuple[int, int, int, int]] = {
    "executor": (51, 570, 544, 720),
    "reviewer": (51, 410, 544, 560),
    "approver": (51, 250, 544, 400),
}
"""Where each role signs on the last page: left, bottom, right and top, in points from the page's lower left corner."""

TITLES: Mapping[Role, str] = {"executor": "Executed by", "reviewer": "Reviewed by", "approver": "Approved by"}
"""What stands before the printed name."""
