"""What looks like a secret, found before it can be written anywhere.

A record is read for years by people the run's secrets were never meant for, so a secret may not reach a parameters
file, a notebook cell or a manifest. Identifiers that only look random (ARNs, KMS key ids, hexadecimal digests, bucket
names) are no secrets, and raise no alarm.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kit.errors import ParameterError

_NAMES = re.compile(
    r"secret|passw(or)?d|passphrase|token|access_?key|private_?key|api_?key|session_?key|credential|(^|_)pwd($|_)"
)

# Access key ids begin with AKIA (long-term) or ASIA (temporary): IAM user guide, "Understanding unique ID prefixes".
# The query parameters are those of a presigned request, Signature Version 4 and 2. A session token is base64 that
# begins with an encoded "origin" or "er/aws". Each alternative takes time linear in the text, however it was made up.
_ANYWHERE = re.compile(
    r"(?<![A-Za-z0-9])(AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"
    r"|-----BEGIN [A-Z0-9 ]*PRIVATE KEY"
    r"|(?i:[a-z][a-z0-9+.-]{0,30}://[^/\s?#]*@)"
    r"|(?i:x-amz-(signature|credential|security-token)(=|%3d))"
    r"|(?i:[?&](awsaccesskeyid|signature)=)"
    r"|(?<![A-Za-z0-9+/])(IQoJb3JpZ2lu|AgoJb3JpZ2lu|F[A-Za-z]oGZXIvYXdz|F[A-Za-z]oDYXdz)[A-Za-z0-9+/]"
    r"|(?i:aws_?(secret_?access_?key|session_?token)[\"'\s]*[=:])"
    r"|(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\."
)

_SECRET_KEY = re.compile(r"[A-Za-z0-9/+]{40}")
_LONG_TOKEN = re.compile(r"[A-Za-z0-9/+_-]{100,}={0,2}")
_CLASSES = (re.compile(r"[a-z]"), re.compile(r"[A-Z]"), re.compile(r"[0-9]"))
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]+")


def find_secret(value: object) -> str | None:
    """Return the dotted path of the first key or value that looks like a secret, or `None` if nothing does.

    Looks at any depth of mappings and lists, into keys as well as values. The path never holds the secret: a key
    that is itself one is written `<key>`. A value that stands alone, outside any mapping, has the path `value`.
    """
    return next(_suspicious(value, ()), None)


def refuse_secrets(texts: Mapping[str, str]) -> None:
    """Refuse texts that a record would keep for years where one holds what looks like a secret; repeats none.

    Raises:
        ParameterError: one does; names which.
    """
    for name, text in texts.items():
        if find_secret([text, *re.split(r"[\s\"',=]+", text)]):
            raise ParameterError(
                f"the {name} holds what looks like a secret", "leave it out, and revoke it if it was real"
            )


def _suspicious(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if _is_secret(str(key)):
                yield ".".join((*path, "<key>"))
            elif _NAMES.search(_snake(str(key))):
                yield ".".join((*path, str(key)))
            else:
                yield from _suspicious(inner, (*path, str(key)))
    elif isinstance(value, list | tuple | set | frozenset):
        for number, inner in enumerate(value):
            yield from _suspicious(inner, (*path, str(number)))
    elif _is_secret(value.decode("latin-1") if isinstance(value, bytes) else str(value)):
        yield ".".join(path) or "value"


def _is_secret(text: str) -> bool:
    whole = text.strip().strip("\"'")
    return bool(_ANYWHERE.search(text)) or (
        bool(_SECRET_KEY.fullmatch(whole) or _LONG_TOKEN.fullmatch(whole))
        and not _HEXADECIMAL.fullmatch(whole)
        and not whole.startswith("alias/")
        # forty random characters of base64 lack one of these once in about a thousand times; names often do
        and all(kind.search(whole) for kind in _CLASSES)
    )


def _snake(name: str) -> str:
    """Return `sessionToken`, `Session-Token` and `SESSION_TOKEN` alike as `session_token`."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
