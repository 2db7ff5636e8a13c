"""What a JSON reader complains of, in this program's words."""

from core.wording import Language, say, sentences

# What Python 3.11's json says, and our words for it.
COMPLAINTS = {
    "Expecting value": "json.value",
    "Expecting ',' delimiter": "json.comma",
    "Expecting ':' delimiter": "json.colon",
    "Expecting property name enclosed in double quotes": "json.name",
    "Extra data": "json.extra",
    "Unterminated string starting at": "json.open",
    "Invalid control character at": "json.control",
    "Invalid \\escape": "json.escape",
    "Invalid \\uXXXX escape": "json.escape",
    "too deep": "file.too_deep",
}


def complaint(detail: str, language: Language | None = None) -> str:
    """The sentence for what a reader said; its own words where there is none."""
    key = COMPLAINTS.get(detail, "")
    return say(key, language) if key in sentences("en") else detail
