"""Proves that what was appended to a record's PDF is signatures, and nothing else.

Each revision after the first is held to a closed list of what a signature needs: objects that may grow, and kinds of
objects that may be new. What is not on the list is refused, whether or not a viewer would show it; so there is no need
to tell a harmless change from a harmful one (ISO 32000-2, 12.8; ETSI EN 319 142-1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Never

from kit.record.pdf.structure import Document, View
from kit.record.pdf.syntax import Reference, Stream, SyntaxProblem, Value, text_of

_CATALOG, _FORM, _STORE, _PAGE = "catalog", "form", "security store", "page"

# What may grow, and which of its entries: an array by items at its end, a dictionary by keys; all else stays as it was.
_GROWS: Mapping[str, Mapping[str, str]] = {
    _CATALOG: {"AcroForm": _FORM, "DSS": _STORE, "Extensions": "extensions"},
    _PAGE: {"Annots": "[widget"},
    _FORM: {"Fields": "[field"},
    _STORE: {"Certs": "[data", "OCSPs": "[data", "CRLs": "[data", "VRI": "{validation data"},
    "extensions": {},
}

# What may be new. Of an entry: `=` the name that it has, `[` an array and `{` a dictionary of a kind, else a kind;
# `plain` is a value that leads to no other object but plain ones; `!` marks an entry that has to be there.
_KINDS: Mapping[str, Mapping[str, str]] = {
    _FORM: {"Fields": "![field", "SigFlags": "!plain"},
    _STORE: {"Type": "=DSS", **_GROWS[_STORE]},
    "extensions": {"ESIC": "plain", "ISO_": "plain"},
    "validation data": {"Type": "=VRI", "Cert": "[data", "OCSP": "[data", "CRL": "[data", "TU": "plain"},
    "field": {
        "FT": "!=Sig", "T": "!plain", "TU": "plain", "V": "!signature", "TrailkitStatement": "plain", "Type": "!=Annot",
        "Subtype": "!=Widget", "F": "!plain", "Rect": "!plain", "P": "!page", "AP": "appearances",
    },
    "signature": {
        "Type": "!plain", "Filter": "!=Adobe.PPKLite", "SubFilter": "!plain", "Contents": "!plain",
        "ByteRange": "!plain", "M": "plain", "Name": "plain", "Reason": "plain",
    },
    "appearances": {"N": "!block"},
    "block": {
        "Type": "!=XObject", "Subtype": "!=Form", "FormType": "plain", "BBox": "!plain", "Matrix": "plain",
        "Resources": "!resources",
    },
    "resources": {"Font": "{font"},
    "font": {
        "Type": "!=Font", "Subtype": "plain", "BaseFont": "plain", "Encoding": "plain", "ToUnicode": "data",
        "DescendantFonts": "[font", "CIDSystemInfo": "plain", "CIDToGIDMap": "plain", "DW": "plain", "W": "plain",
        "FontDescriptor": "description of a font",
    },
    "description of a font": {
        "Type": "!=FontDescriptor", "FontName": "plain", "FontFamily": "plain", "Flags": "plain", "FontBBox": "plain",
        "ItalicAngle": "plain", "Ascent": "plain", "Descent": "plain", "CapHeight": "plain", "XHeight": "plain",
        "StemV": "plain", "StemH": "plain", "Leading": "plain", "MissingWidth": "plain", "AvgWidth": "plain",
        "MaxWidth": "plain", "FontFile2": "data", "FontFile3": "data", "CIDSet": "data",
    },
    "data": {"Length1": "plain", "Subtype": "plain", "Type": "plain"},
}  # fmt: skip
_STREAMS = {"block", "data"}
_OF_A_STREAM = {"Length": "plain", "Filter": "plain"}
_SIG_FLAGS = 3
_MOST_STEPS = 100_000


@dataclass(frozen=True)
class Addition:
    """What one revision adds: a signature or document timestamp with its field, or validation data alone.

    `start` and `end` are its bytes; `name` is that of the field, `widget` and `signature` are the dictionaries, empty
    where there is none; `on_last_page` says where the field is.
    """

    start: int
    end: int
    name: str = ""
    widget: Mapping[str, Value] = field(default_factory=dict)
    signature: Mapping[str, Value] = field(default_factory=dict)
    on_last_page: bool = False


def hold_revisions(path: Path) -> list[int]:
    """Return where each revision of a PDF ends, in bytes, once it is proven that all but the first only add signatures.

    The last one adds a signature or a document timestamp, so that there is no byte that none covers.

    Raises:
        RejectionError: a revision does something else; names the file, the revision and the object.
    """
    with Document(path) as document:
        additions(document)
        return [revision.end for revision in document.revisions]


def additions(document: Document) -> list[Addition]:
    """Return what each revision after the first adds.

    Raises:
        RejectionError: as `hold_revisions` does.
    """
    kinds: dict[int, str] = {}
    if signed := {"AcroForm", "DSS", "Extensions", "Perms"} & set(document.view(0).catalog):
        document.reject(f"its first revision holds /{min(signed)}, and is signed by later ones alone")
    found = [_Proof(document, index, kinds).addition() for index in range(1, len(document.revisions))]
    names = [one.name for one in found if one.widget]
    if len(set(names)) != len(names):
        document.reject("two of its signatures are in fields of one name")
    if found and not found[-1].widget:
        document.reject("its last revision is covered by no signature and no timestamp")
    return found


class _Proof:
    """The proof of one revision against all that came before it."""

    def __init__(self, document: Document, index: int, kinds: dict[int, str]) -> None:
        self.document = document
        self.index = index
        self.kinds = kinds
        self.before: View = document.view(index - 1)
        self.after: View = document.view(index)
        self.earlier = document.revisions[:index]
        self.changed = set(document.revisions[index].places) - {document.revisions[index].xref}
        self.waiting: list[tuple[Value, str, str]] = []
        self.pages = self.before.pages()

    def addition(self) -> Addition:
        """Return what the revision adds, once everything in it is accounted for."""
        self._hold_trailer()
        self._grow(_CATALOG, self.after.root, self.after.root, "the catalog")
        placed: list[tuple[Value, Reference]] = []
        for number, page in enumerate(self.pages, start=1):
            left = len(self.changed)
            self._grow(_PAGE, page, page, f"page {number}")
            if len(self.changed) != left:
                placed += [(item, page) for item in self._new_items(page, "Annots")]
        self._walk()
        for number in sorted(self.changed):
            does = "replaces" if self._known(number) else "adds"
            self._refuse(f"{does} the object {number}, and no signature needs that")
        return self._addition(placed)

    def _addition(self, placed: list[tuple[Value, Reference]]) -> Addition:
        revision = self.document.revisions[self.index]
        fields = self._new_items(self.after.catalog.get("AcroForm"), "Fields")
        if len(fields) > 1 or [one for one, _ in placed] != fields:
            self._refuse("adds other fields than it places on pages, or more than one")
        if not fields:
            return Addition(revision.start, revision.end)
        reference = self.document.expect(Reference, fields[0], "reference to a signature field")
        entries, page = self.after.dictionary(reference, "signature field"), placed[0][1]
        if entries["P"] != page:
            self._refuse(f"adds the object {reference.number} to another page than it says")
        if self.after.dictionary(self.after.catalog["AcroForm"], "form").get("SigFlags") != _SIG_FLAGS:
            self._refuse("does not mark the file as one to which is only appended (/SigFlags)")
        try:
            name = text_of(entries["T"])
        except SyntaxProblem:
            self._refuse(f"adds the object {reference.number} without a name")
        signature = self.after.dictionary(entries["V"], "signature")
        return Addition(revision.start, revision.end, name, entries, signature, page == self.pages[-1])

    def _new_items(self, owner: Value, key: str) -> list[Value]:
        """Return the items of an array that this revision appended."""
        lists = []
        for view in (self.before, self.after):
            there = isinstance(owner, Reference) and any(owner.number in one.places for one in view.revisions)
            entries = view.dictionary(owner, "dictionary") if there else {}
            lists.append(view.array(entries.get(key, []), f"array /{key}"))
        return lists[1][len(lists[0]) :]

    def _hold_trailer(self) -> None:
        first, last = self.document.revisions[0].trailer, self.document.revisions[self.index].trailer
        ids: list[list[Value]] = [self.document.expect(list, one.get("ID"), "list /ID") for one in (first, last)]
        if not all(len(one) == 2 for one in ids) or ids[0][0] != ids[1][0]:
            self._refuse("is of another document (/ID)")
        if first.get("Info") != last.get("Info"):
            self._refuse("has another /Info")
        if last["Size"] < max(one.trailer["Size"] for one in self.earlier):
            self._refuse("counts fewer objects than there are (/Size)")

    def _grow(self, kind: str, old: Value, new: Value, where: str) -> None:
        """Hold a value to having grown only as it may; what is new in it is left to the walk."""
        if isinstance(old, Reference):
            if old != new:
                self._refuse(f"puts another object in the place of {where}")
            self.changed.discard(old.number)
            old, new = self.before.resolve(old), self.after.resolve(new)
        if old is new and kind not in _GROWS:
            return
        if kind[0] == "[":
            if type(old) is not list or type(new) is not list or not _same(old, new[: len(old)]):
                self._refuse(f"changes {where}")
            self.waiting += [(item, kind[1:], where) for item in new[len(old) :]]
        elif type(old) is dict and type(new) is dict:
            self._grow_entries(kind, old, new, where)
        else:
            self._refuse(f"changes {where}")

    def _grow_entries(self, kind: str, old: Mapping[str, Value], new: Mapping[str, Value], where: str) -> None:
        grows: Mapping[str, str] = _GROWS.get(kind, {})
        for key, value in old.items():
            place = f"/{key} of {where}"
            if key in new and key in grows:
                self._grow(grows[key], value, new[key], place)
            elif key not in new or not _same(value, new[key]):
                self._refuse(f"changes {place}")
        for key in [key for key in new if key not in old]:
            rule = self._addable(kind, key)
            if not rule:
                self._refuse(f"adds /{key} of {where}")
            self.waiting.append((new[key], rule, f"/{key} of {where}"))

    def _addable(self, kind: str, key: str) -> str:
        """Return the rule for an entry that a thing may get that did not have it; empty where it may not."""
        if kind[0] == "{":
            return kind[1:]
        return _KINDS["extensions"].get(key, "") if kind == "extensions" else _GROWS[kind].get(key, "")

    def _walk(self) -> None:
        """Hold everything that is new to its kind."""
        for _ in range(_MOST_STEPS):
            if not self.waiting:
                return
            value, rule, where = self.waiting.pop()
            rule = rule.removeprefix("!")
            if rule == _PAGE and value not in self.pages:
                self._refuse(f"leads to no page by {where}")
            # which widgets are placed is compared with the fields that are added
            if rule in (_PAGE, "widget"):
                continue
            if isinstance(value, Reference):
                if not self._claim(value, rule, where):
                    continue
                where = f"the object {value.number}"
                value = self.after.resolve(value)
            self._hold(value, rule, where)
        self._refuse("adds more than a signature needs")

    def _hold(self, value: Value, rule: str, where: str) -> None:
        if rule[0] == "=":
            if value != rule[1:]:
                self._refuse(f"adds {where} that is no /{rule[1:]}")
        elif rule[0] == "[":
            self.waiting += [(one, rule[1:], where) for one in self.document.expect(list, value, "array")]
        elif rule[0] == "{":
            entries = self.document.expect(dict, value, "dictionary")
            self.waiting += [(one, rule[1:], f"/{key} of {where}") for key, one in entries.items()]
        elif rule == "plain":
            self._hold_plain(value, where)
        else:
            self._hold_kind(value, rule, where)

    def _hold_plain(self, value: Value, where: str) -> None:
        if isinstance(value, Stream):
            self._refuse(f"adds {where}, a stream that no signature needs")
        items = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
        self.waiting += [(one, "plain", where) for one in items if isinstance(one, Reference | list | dict)]

    def _hold_kind(self, value: Value, kind: str, where: str) -> None:
        entries, allowed = value, _KINDS[kind]
        if kind in _STREAMS:
            entries = value.entries if isinstance(value, Stream) else None
            allowed = {**allowed, **_OF_A_STREAM}
        if type(entries) is not dict:
            self._refuse(f"adds {where} that is no {kind}")
        if unknown := set(entries) - set(allowed):
            self._refuse(f"adds {where} with /{min(unknown)}, which no {kind} of a record has")
        if missing := {key for key, rule in allowed.items() if rule[0] == "!"} - set(entries):
            self._refuse(f"adds {where} without /{min(missing)}, which every {kind} has")
        for key, one in entries.items():
            self.waiting.append((one, allowed[key], f"/{key} of {where}"))

    def _claim(self, reference: Reference, kind: str, where: str) -> bool:
        """Count an object as one of a kind; whether it was not counted before."""
        number = reference.number
        if number in self.kinds:
            if self.kinds[number] != kind:
                self._refuse(f"leads by {where} to the object {number}, which is no {kind}")
            return False
        if self._known(number) or number not in self.changed:
            self._refuse(f"leads by {where} to the object {number}, which is none of a signature")
        self.kinds[number] = kind
        self.changed.discard(number)
        return True

    def _known(self, number: int) -> bool:
        return any(number in one.places for one in self.earlier)

    def _refuse(self, what: str) -> Never:
        self.document.reject(f"its revision {self.index + 1} {what}")


def _same(old: Value, new: Value) -> bool:
    """Whether two values are one: neither `1` and `true`, nor a name and a text of the same letters."""
    if isinstance(old, bytes) and isinstance(new, bytes):
        return bytes(old) == bytes(new)
    if type(old) is not type(new):
        return False
    if isinstance(old, list):
        return len(old) == len(new) and all(map(_same, old, new))
    if isinstance(old, dict):
        return set(old) == set(new) and all(_same(item, new[key]) for key, item in old.items())
    return bool(old == new)
