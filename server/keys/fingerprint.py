"""An e-mail as the cache knows it: a keyed fingerprint that cannot be reversed.

Workers and `cachectl` compute it from the shared secret; the daemon sees only the result.
"""

from __future__ import annotations

import hmac
import re
import unicodedata

ACCOUNT_LABEL = b"oig-cloud-mcp account 1\0"
"""What this use of the secret is for: no other use of it can give the same bytes."""

SPELLING_LABEL = b"oig-cloud-mcp spelling 1\0"
"""Likewise."""

SECRET_LABEL = b"oig-cloud-mcp secret 1\0"
"""Likewise."""

SETTING_LABEL = b"oig-cloud-mcp setting 1\0"
"""Likewise."""

SETTING_TAG_BYTES = 8
"""Size of a setting's tag."""

SECRET_TAG_BYTES = 16
"""Size of a secret's tag, as in the cache protocol."""

SPELLING_BYTES = 16
"""Size of a spelling's tag, as in the cache protocol."""

INVISIBLE = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and signs that show nothing: Hangul fillers, and the Braille pattern without a dot."""

SEVERAL_S = re.compile("s{2,}")

OTHER = "\ufffd"
"""Stands for every e-mail that no rule makes plain ASCII."""

SHOWN_DIGITS = 12
"""Hex digits that stand for an account in logs, in the journal and in cachectl."""


def shown(account: bytes) -> str:
    """Write an account's key as operators see it: enough to distinguish accounts, no more."""
    return account.hex()[:SHOWN_DIGITS]


def normalise(email: str) -> str:
    """Reduce the spellings of one mailbox to a single one."""
    if email.isascii():
        return email.strip().lower()  # what the rest comes to, for nearly all e-mails
    folded = unicodedata.normalize("NFKC", email.strip()).casefold()
    # Folding can take letters apart again, and decomposing can leave a blank at an end.
    return unicodedata.normalize("NFKC", folded).strip()


def account_key(secret: bytes, email: str) -> bytes:
    """Fingerprint the mailbox `email`: HMAC-SHA256, 32 bytes."""
    # A lone surrogate, which JSON can carry, is no reason to fail: it is just no account.
    text = normalise(email).encode("utf-8", "surrogatepass")
    return hmac.digest(secret, ACCOUNT_LABEL + text, "sha256")


def secret_tag(secret: bytes) -> bytes:
    """Distinguish a secret from others without revealing it: 16 bytes.

    Who has the tag can try texts that a person may have chosen as the secret, as is true of every
    key that is made with it; against the random ones that we make that is hopeless. The daemon and
    its workers send it to each other and write it nowhere. A shared storage has it, beside keys
    that are made with the secret as well.
    """
    return hmac.digest(secret, SECRET_LABEL, "sha256")[:SECRET_TAG_BYTES]


def setting_tag(secret: bytes, variable: str, value: object) -> bytes:
    """Distinguish a setting's value from others without revealing it: 8 bytes.

    Args:
        secret: The shared secret. Without it nobody can try values, of which there may be few.
        variable: The setting's name.
        value: Its value; those that are equal have one `repr`.
    """
    text = f"{variable}={value!r}".encode("utf-8", "surrogatepass")
    return hmac.digest(secret, SETTING_LABEL + text, "sha256")[:SETTING_TAG_BYTES]


def spelling_tag(secret: bytes, email: str) -> bytes:
    """Tell a spelling of a mailbox from its others: 16 bytes, or none for the normalised one.

    Args:
        secret: The shared secret.
        email: The e-mail exactly as the portal gets it.
    """
    if email == normalise(email):
        return b""
    text = email.encode("utf-8", "surrogatepass")
    return hmac.digest(secret, SPELLING_LABEL + text, "sha256")[:SPELLING_BYTES]


def fold(email: str) -> str:
    """Reduce an e-mail to what a database with a tolerant collation may compare of it.

    The spellings that such a collation takes for one mailbox come to one text of plain ASCII or to
    `OTHER`, so that a guesser has no budget for each of them. Further mailboxes may come to it as
    well: it is the key of budgets only.

    1. Plain ASCII is normalised, and no more. (Some languages compare plain letters as equal,
       Lithuanian y and i; those are mailboxes of their own nearly everywhere.)
    2. Compatible forms are taken apart, marks and what nobody sees go, before case is folded, which
       makes a letter of one mark and two of a sharp s. What is plain ASCII then is the budget.
       (Collations of a few languages take some such letters for two or for another, German phone
       books an o with two dots for oe: on such a portal each of them doubles a guesser's budgets.)
    3. Collations disagree about the rest: some take foreign digits for ours, some a thorn for th
       and others for a letter. All e-mails with any such character share one budget.
    4. Some take a sharp s for one s and some for two: several in a row count as one, plain ones as
       well.
    """
    if email.isascii():
        return SEVERAL_S.sub("s", normalise(email))
    lower = _seen(unicodedata.normalize("NFKD", email)).casefold()
    text = normalise(_seen(unicodedata.normalize("NFKD", lower)))
    # Some signs are a blank with a mark: no e-mail has a blank inside, and collations skip them.
    return SEVERAL_S.sub("s", text) if text.isascii() and " " not in text else OTHER


def _seen(text: str) -> str:
    return "".join(char for char in text if not _ignored(char))


def _ignored(char: str) -> bool:
    """Return whether collations pass over a character: marks, variation selectors, invisible."""
    # Unassigned ones are passed over by collations that are older than they are.
    category = unicodedata.category(char)
    return category[0] == "M" or category in {"Cc", "Cf", "Cn"} or char in INVISIBLE


def is_folded(email: str) -> bool:
    """Return whether folding may give another mailbox than normalising: a fast check."""
    return not email.isascii() or SEVERAL_S.search(email.casefold()) is not None


def budget_key(secret: bytes, email: str) -> bytes:
    """Return the 32-byte key under which wrong passwords for `email` are counted.

    It is the account key of the folded e-mail: for nearly all e-mails that of the account itself.
    """
    return account_key(secret, fold(email))
