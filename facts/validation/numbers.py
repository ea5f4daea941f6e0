"""Numbers as people write them: 1,00,000 and 100,000 and 1 00 000, in any script's digits."""

import re
import unicodedata
from decimal import Decimal

MAX_DIGITS = 18  # before the point, as a money column holds
MAX_NUMBER_LENGTH = 60

# Separators of Arabic script, the true minus sign, and spaces that word processors set.
_PLAIN = str.maketrans({"\u066c": ",", "\u066b": ".", "\u2212": "-", **dict.fromkeys("\u00a0\u202f\u2009\u2007", " ")})
_SHAPE = re.compile(r"([-+]?) ?([0-9][0-9, ]*)?(?:\.([0-9]*))?")
_GROUPED = re.compile(
    r"[0-9]+"
    r"|[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,2}(?:,[0-9]{2})*,[0-9]{3}"
    r"|[0-9]{1,3}(?: [0-9]{3})+|[0-9]{1,2}(?: [0-9]{2})* [0-9]{3}"
)
_ONLY_NUMBERISH = re.compile(r"[-+0-9., ]*")

MEND_WORD = "Write digits. If it is not known write DK, if it is not to be told write REF; write 0 only for none."
MEND_POINT = "Write decimals with a point (12.5); commas only group thousands (1,00,000 or 100,000)."


class Refused(ValueError):
    """A raw value that cannot be read. `reason` completes "what was written …", `mend` says what would do."""

    def __init__(self, reason: str, mend: str):
        self.reason, self.mend = reason, mend
        super().__init__(reason)


def plain_digits(text: str) -> str:
    """The text with digits, signs and spaces of any script in their ASCII form, trimmed."""
    if not text.isascii():
        text = "".join(str(unicodedata.decimal(one)) if one.isdecimal() else one for one in text.translate(_PLAIN))
    return " ".join(text.split())


def number(text: str) -> Decimal:
    """Read a number, or raise Refused.

    >>> number("1,00,000"), number("100 000"), number("-12.5")
    (Decimal('100000'), Decimal('100000'), Decimal('-12.5'))
    """
    if len(text) > MAX_NUMBER_LENGTH:
        raise Refused("is too long for a number", "Write the number alone.")
    text = plain_digits(text)
    if not _ONLY_NUMBERISH.fullmatch(text):
        if any(one.isdigit() for one in text):
            raise Refused(
                "holds more than a number",
                "Write the number alone, without currency, unit or per cent sign.",
            )
        raise Refused("is not a number", MEND_WORD)
    if text.count(".") > 1:
        raise Refused("has more than one decimal point", MEND_POINT)
    shape = _SHAPE.fullmatch(text)
    if shape is None or not (shape[2] or shape[3]):
        raise Refused("is not a number", MEND_POINT if "," in text else MEND_WORD)
    sign, whole, decimals = shape[1], (shape[2] or "0").strip(), shape[3] or ""
    if not _GROUPED.fullmatch(whole):
        what = "comma" if "," in whole else "space"
        raise Refused(f"has a {what} where it does not group thousands", MEND_POINT)
    whole = whole.replace(",", "").replace(" ", "")
    if len(whole.lstrip("0")) > MAX_DIGITS:
        raise too_large()
    return Decimal(f"{sign}{whole}.{decimals}")


def too_large() -> Refused:
    return Refused(f"has more than {MAX_DIGITS} digits", "Check the number, and the scale of the return.")
