"""Personal data in texts: addresses, phone numbers, identity cards and secret keys, found by kept libraries.

email-validator, phonenumbers (Google's libphonenumber), python-stdnum and detect-secrets judge; a cheap look
tells first which texts can hold any.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

# Whose national numbers are recognised without a country code: those of the languages spoken here.
REGIONS = ("CN", "US")
_ADDRESS = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_DIGITS = re.compile(r"\d[\d ().+-]{5,}\d")
_CARD = re.compile(r"(?<!\d)\d{17}[\dXx](?!\d)")
# How keys begin that detect-secrets knows, to look closely only where one may be.
_KEY_MARKS = (
    *(
        "AKIA",
        "ASIA",
        "ghp_",
        "gho_",
        "ghs_",
        "ghu_",
        "glpat-",
        "sk-",
        "sk_live_",
        "rk_live_",
        "xox",
        "AIza",
    ),
    *(
        "-----BEGIN",
        "eyJ",
        "npm_",
        "pypi-",
        "hf_",
        "SG.",
        "https://hooks.slack.com",
        "AccountKey=",
        "T3BlbkFJ",
    ),
)
_MORE_KEYS = re.compile(r"\b(?:sk-(?:proj-|ant-)?[A-Za-z0-9_-]{20,}|hf_[A-Za-z]{30,}|AIza[\w-]{35})\b")
_PLUGINS = (
    *("AWSKeyDetector", "ArtifactoryDetector", "AzureStorageKeyDetector", "DiscordBotTokenDetector"),
    *("GitHubTokenDetector", "GitLabTokenDetector", "JwtTokenDetector", "MailchimpDetector", "NpmDetector"),
    *("OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector", "SendGridDetector", "SlackDetector"),
    *("SquareOAuthDetector", "StripeDetector", "TelegramBotTokenDetector"),
)


class Private(NamedTuple):
    """One piece of personal data: ``kind`` is email, phone, card or key."""

    kind: str
    start: int
    end: int


def personal(text: str) -> list[Private]:
    """The personal data of a text, in its order, none inside another."""
    found = sorted([*_addresses(text), *_keys(text), *_numbers(text)], key=lambda one: (one.start, -one.end))
    kept: list[Private] = []
    for one in found:
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept


def suspicious(text: str) -> bool:
    """Whether a closer look is worth its time: a text, or many joined."""
    return "@" in text or any(mark in text for mark in _KEY_MARKS) or _DIGITS.search(text) is not None


def masked(text: str) -> str:
    """The text with its personal data replaced by what it was."""
    for one in reversed(personal(text)):
        text = f"{text[: one.start]}<{one.kind}>{text[one.end :]}"
    return text


def _addresses(text: str) -> Iterator[Private]:
    if "@" not in text:
        return
    from email_validator import EmailNotValidError, validate_email

    for match in _ADDRESS.finditer(text):
        address = match[0].rstrip(".-")
        try:
            validate_email(address, check_deliverability=False, test_environment=True)
        except EmailNotValidError:
            continue
        yield Private("email", match.start(), match.start() + len(address))


def _numbers(text: str) -> Iterator[Private]:
    if not _DIGITS.search(text):
        return
    from phonenumbers import Leniency, PhoneNumberMatcher
    from stdnum.cn import ric

    for match in _CARD.finditer(text):
        if ric.is_valid(match[0].upper()):
            yield Private("card", match.start(), match.end())
    for region in REGIONS:
        for number in PhoneNumberMatcher(text, region, leniency=Leniency.VALID, max_tries=100):
            if _is_telling(number):
                yield Private("phone", number.start, number.end)


def _is_telling(number: Any) -> bool:
    """A bare row of digits is a phone number only where it is a mobile one: else it may be any number."""
    if number.raw_string.startswith("+") or not number.raw_string.isdigit():
        return True
    from phonenumbers import PhoneNumberType, number_type

    return len(number.raw_string) == 11 and number_type(number.number) == PhoneNumberType.MOBILE


def _keys(text: str) -> Iterator[Private]:
    if not any(mark in text for mark in _KEY_MARKS):
        return
    for match in _MORE_KEYS.finditer(text):
        yield Private("key", match.start(), match.end())
    for pattern in _key_patterns():
        for match in pattern.finditer(text):
            yield Private("key", match.start(), match.end())


@cache
def _key_patterns() -> tuple[re.Pattern[str], ...]:
    """detect-secrets' own patterns, those that know a kind of key by its form (not by its entropy)."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    known = {plugin.__name__: plugin for plugin in get_mapping_from_secret_type_to_class().values()}
    return tuple(pattern for name in _PLUGINS if name in known for pattern in known[name].denylist)
