"""The organization that the embedded account belongs to: its management account, another that it can't enter, and one
that is suspended. Adds to the additions. Source: Organizations API reference, ListAccounts, Account.
"""

from kit.sandbox.account import ACCOUNT_ID
from kit.sandbox.additions import replaces
from kit.sandbox.calls import Answer, Call, Rules, error, json_answer

ORGANIZATION = "o-sandbox1234"
OTHER_ACCOUNT = "210987654321"
"""An account that is active, and whose roles nobody here may assume."""

SUSPENDED_ACCOUNT = "321098765432"
_ACCOUNTS = (
    (ACCOUNT_ID, "GxP production", "ACTIVE"),
    (OTHER_ACCOUNT, "Log archive", "ACTIVE"),
    (SUSPENDED_ACCOUNT, "Closed", "SUSPENDED"),
)
_A_PAGE = 2


@replaces("organizations", "ListAccounts")
def list_accounts(call: Call, _: Rules) -> Answer:
    """List the accounts, two a page; only the Region in which the service answers knows them [ListAccounts]."""
    token = str(call.parameters.get("NextToken") or "0")
    if not token.isdigit():
        return error(call, 400, "InvalidInputException", "You provided an invalid token.")
    start = int(token)
    accounts = [
        {
            "Id": account,
            "Arn": f"arn:aws:organizations::{ACCOUNT_ID}:account/{ORGANIZATION}/{account}",
            "Email": f"{account}@example.com",
            "Name": name,
            "State": state,
            "JoinedMethod": "CREATED",
            "JoinedTimestamp": 1735689600.0,
        }
        for account, name, state in _ACCOUNTS[start : start + _A_PAGE]
    ]
    more = {"NextToken": str(start + _A_PAGE)} if start + _A_PAGE < len(_ACCOUNTS) else {}
    return json_answer({"Accounts": accounts} | more)
