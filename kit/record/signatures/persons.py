"""Whether two identities are one person's: by certificate, by typed name, and by who AWS says somebody is.

Strict on purpose: an approval by the one who executed is worse than having to ask a third person. It can't be told from
names that are nothing alike.
"""

import re
import unicodedata
from dataclasses import dataclass

_TITLES = {"dr", "prof", "mr", "mrs", "ms", "herr", "frau", "msc", "bsc", "phd", "dipl", "ing"}
_FOLDED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "å": "aa"})
_OF_NOBODY = re.compile(r"botocore-session-\d+|i-[0-9a-f]{8,}|\d+", re.ASCII)
"""Sessions that are named for a program, a machine or a moment, and not for a person."""


@dataclass(frozen=True)
class Person:
    """What is known of somebody: a typed or printed name, the subject of a certificate, and an STS identity (ARN)."""

    name: str = ""
    subject: str = ""
    caller: str = ""


def same(one: Person, other: Person) -> str:
    """Return on what two are judged to be one person, in words; empty where nothing says so."""
    if one.subject and one.subject.casefold() == other.subject.casefold():
        return f"the certificate's subject, {one.subject}"
    if one.caller and other.caller and _principal(one.caller) == _principal(other.caller):
        return f"the STS identity, {other.caller}"
    shared = _accounts(one) & _accounts(other)
    if shared:
        return f"{min(shared)}, which names both"
    if _alike(one.name, other.name):
        return f"the name, {other.name}"
    for named, session in ((one, other), (other, one)):
        if _alike(named.name, _session(session.caller).partition("@")[0]):
            return f"the STS identity, {session.caller}"
    return ""


def _alike(one: str, other: str) -> bool:
    """Whether two names share every word of the shorter one, titles aside; of one word, both are that word."""
    return any(
        first == second or (min(len(first), len(second)) > 1 and (first <= second or second <= first))
        for first in _readings(one)
        for second in _readings(other)
        if first and second
    )


def _readings(text: str) -> list[frozenset[str]]:
    """Return the words of a name without order, case and accents: with umlauts left bare, and written out."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    bare = "".join(char for char in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(char))
    written = unicodedata.normalize("NFC", folded).translate(_FOLDED)
    return [frozenset(re.findall(r"[^\W_]+", one)) - _TITLES for one in (bare, written)]


def _accounts(person: Person) -> set[str]:
    """Return the mail addresses and user ids by which somebody is known."""
    found = {mail.casefold() for mail in re.findall(r"[^\s,=+<>/]+@[^\s,=+<>/]+", f"{person.name} {person.subject}")}
    found |= {uid.casefold() for uid in re.findall(r"(?:UID|0\.9\.2342\.19200300\.100\.1\.1)=([^,+]+)", person.subject)}
    session = _session(person.caller)
    if session:
        found |= {session.casefold(), session.partition("@")[0].casefold()}
    # a name of one word is an account name, or a personnel number
    if person.name and not re.search(r"\s", person.name.strip()):
        found.add(person.name.strip().casefold())
    return found


def _principal(arn: str) -> str:
    """Return who an ARN names: for a session that is named for nobody, the role alone."""
    return arn.casefold() if _session(arn) or ":assumed-role/" not in arn else arn.rpartition("/")[0].casefold()


def _session(arn: str) -> str:
    """Return the name of a user, or of a session that is named for somebody; empty where there is none."""
    if ":user/" not in arn and ":assumed-role/" not in arn:
        return ""
    name = arn.rpartition("/")[2]
    return "" if _OF_NOBODY.fullmatch(name) else name
