"""Who is one person with whom: the one who executed can't approve under another spelling, card or session."""

import pytest

from kit.record.signatures.persons import Person, same

ROLE = "arn:aws:sts::123456789012:assumed-role/GxPAudit/"
USER = "arn:aws:iam::123456789012:user/"


@pytest.mark.parametrize(
    ("one", "other", "on"),
    [
        (Person("Anna Müller"), Person("Anna Müller"), "the name"),
        (Person("MÜLLER, Anna"), Person("anna müller"), "the name"),
        (Person("Anna Mueller"), Person("Anna Müller"), "the name"),
        (Person("Anna Muller"), Person("Anna Müller"), "the name"),
        (Person("Dr. Anna Müller"), Person("Anna Müller"), "the name"),
        (Person("Anna Maria Müller"), Person("Anna Müller"), "the name"),
        (Person("Ａｎｎａ Müller"), Person("Anna  Müller"), "the name"),
        (Person("Müller Anna 104711"), Person("Anna Müller"), "the name"),
        (Person("104711", "CN=104711,O=Acme"), Person("104711"), "104711, which names both"),
        (Person("A M", "UID=amueller,CN=A M"), Person(caller=f"{ROLE}amueller"), "amueller, which names both"),
        (Person("A M", "E=anna@acme.example,CN=A M"), Person("anna@acme.example"), "anna@acme.example"),
        (Person("A M", "E=Anna@acme.example,CN=A M"), Person(caller=f"{ROLE}anna@acme.example"), "which names both"),
        (Person("Anna Müller"), Person(caller=f"{ROLE}anna.mueller"), "the STS identity"),
        (Person("Anna Müller"), Person(caller=f"{ROLE}anna.mueller@acme.example"), "the STS identity"),
        (Person("X", caller=f"{ROLE}anna"), Person("Y", caller=f"{ROLE}anna"), "the STS identity"),
        (Person("X", caller=f"{ROLE}botocore-session-1"), Person("Y", caller=f"{ROLE}botocore-session-2"), "STS"),
        (Person("X", caller=f"{ROLE}anna"), Person("Y", caller=f"{USER}anna"), "anna, which names both"),
        (Person("X", "CN=X,OU=1"), Person("Y", "cn=x,ou=1"), "the certificate's subject"),
    ],
    ids=str,
)
def test_one_person_is_told_as_one(one, other, on):
    assert on in same(one, other)
    assert same(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Person("Anna Müller", "CN=Anna Müller,O=Acme"), Person("Ben Okoro", "CN=Ben Okoro,O=Acme")),
        (Person("Anna Müller"), Person("Anna Okoro")),
        (Person("Anna Müller"), Person("Müller")),
        (Person("E104711", "CN=E104711"), Person("E204812", "CN=E204812")),
        (Person("Anna Müller"), Person(caller=f"{ROLE}botocore-session-1")),
        (Person("Anna Müller"), Person(caller=f"{ROLE}ben.okoro")),
        (Person("X", caller=f"{ROLE}anna"), Person("Y", caller=f"{ROLE}ben")),
        (Person("X", caller=f"{ROLE}botocore-session-1"), Person("Y", caller=f"{USER}anna")),
        (Person(), Person()),
        (Person("读者"), Person("作者")),
        (Person("...", "CN=..."), Person("---", "CN=---")),
    ],
    ids=str,
)
def test_two_persons_are_told_as_two(one, other):
    assert same(one, other) == ""
