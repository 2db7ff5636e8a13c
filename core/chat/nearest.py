"""Of the questions that an assistant was taught of a document, the one that asks what a person asks.

A small model answers in the words that it was taught, and guesses in any other. Words and parts of words are
compared, no meaning: what shares too little with every taught question, or names something that none of them
does, is none of them. Of a fact's many wordings the nearest says which fact is meant; asked is the first,
unless one of them was typed word for word. The chat that is taken along has this file too: the standard
library alone.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import log

# Measured by scripts/bench nearest (docs/data.md): how near a question has to be, from 0 to 1, and so many
# times as near as that of any other fact: the surer the nearer it is. One that is alone far and wide may be
# farther, unless it speaks to whoever answers.
NEAR, APART, SURE, APART_OF_SURE = 0.4, 1.5, 0.6, 1.1
CLEAR, APART_OF_CLEAR = 0.25, 2.0
# A language of fewer than one in so many of a fact's wordings is hardly learned.
LEARNED = 4
# Offered is what is so near, or shares so much of what a question is about; beside the likeliest one what is
# half as likely; so many.
MEANT, ABOUT, BESIDE, MOST_MEANT = 0.15, 0.4, 0.5, 3
REMEMBERED = 1024
# So many questions are listed as what can be asked.
MOST_LISTED = 120

# What is said before and behind a question; what is written in several ways.
_BEFORE = re.compile(
    r"(?:(?:你好|您好|嗨|哎|喂|那个|对了|请问(?:一下)?|打扰了|不好意思|麻烦问下|想问一下|我想问问|问一下|帮我看看"
    r"|hi|hello|hey|excuse me|please|sorry|so|well|by the way)(?![a-z])[\s,!。:]*)+"
)
_BEHIND = re.compile(
    r"(?:[\s,]*(?:谢谢[你您啦了]?|多谢|麻烦了|thanks(?: a lot)?|thank you|please))+[\s。.!~]*$"
)
_ONE_WAY = tuple(
    (re.compile(written), meant)
    for written, meant in (
        (r"哪(?:儿|块儿?|边|条(?:街|路|巷子?)上?|个(?:位置|地方|地点))|什么(?:地方|位置)", "哪里"),
        ("礼拜|星期", "周"), ("周[天七]", "周日"), ("啥", "什么"), ("咋", "怎么"), (r"(\w)不\1", r"\1"),
        (r"不(?=\W*$)", "吗"), ("几块钱?|几元|多少元", "多少钱"), ("电瓶车", "电动车"),
        ("wi-fi|无线网络?|无线", "wifi"),
        (r"\b(what|where|who|when|how)'s\b", r"\1 is"), (r"n't\b", " not"),
        (r"\bcheck[ -](in|out|up)\b", r"check\1"),
    )
)  # fmt: skip
# Characters and words of a question about anything weigh little; those that say what is asked, somewhat more.
_FILLING = frozenset(
    "的了吗呢啊呀吧哦嘛么是有在我你您们他它这那个一要想能可以会来去给把和就都也还没不请问说看知道告诉需得到里"
    "家店用让跟对为啦哈碗份节杯位晚张趟只些"
)
_ASKING = frozenset("什怎样多少几哪谁何钱")
_SAYING_LITTLE = (
    "a an the is are was be do does did i you we they it he she my your our their there here this that of to "
    "in on at for with from by and or so can could would will should may have has had get got go please me "
    "us s t not as if any some about want like need know tell use put take taking turn start up out ok okay "
    "near nearby nearest days now today also really exactly one give hi hello then"
)
_SAYING_WHAT = "what where who whose when which how much many why cost price long time"
_FILLING_WORDS, _ASKING_WORDS = frozenset(_SAYING_LITTLE.split()), frozenset(_SAYING_WHAT.split())
FILLS, ASKS, TELLS = 0.1, 0.5, 1.0
# A word of Latin letters weighs more than one character; its parts are for its other forms, and a day of the
# week decides.
WORD, PART, SINGLE, DAY = 1.5, 0.3, 0.5, 4.0
# What reads oddly on a button reads as if it were so many characters longer, what is taught first so many
# shorter; so many letters of a word take the room of one character.
ODD, FIRST, LETTERS = 12, 3, 2
_QUOTED = re.compile(r"[“”\"「」()（）]")
_ODD = re.compile(
    r"呢|来着|贵吗|便宜|情况|怎样|怎么样|谢|麻烦|方面|^(?:那个|嗨|哎|喂|对了|你好|您好|请问|问一下|想问|我想问|打扰|不好意思|帮我看看)"
    r"|(?i:thanks|please|^(?:hi|hello|hey|so|well|sorry)\b|^what about|^tell me|by the way|excuse me)"
)
_TO_ONE = re.compile(r"[你您](?!们)|\byou(?:r|rs|rself)?\b", re.IGNORECASE)
_TO_YOU = re.compile(r"[你您]|\byou(?:r|rs|rself)?\b", re.IGNORECASE)
# So many letters of a word are its stem; so many unknown characters of Chinese are a word.
STEM, UNKNOWN = 4, 2
_CHINESE = re.compile(r"[\u2e80-\u9fff]")
_PIECES = re.compile(r"周[一二三四五六日末]|[a-z]+|\d+(?:[.:]\d+)*|[^\W\d_]")


@dataclass(frozen=True)
class Match:
    """What a question comes to: the taught one that is ``nearest``; else whether the answer is ``guessed``,
    and the taught ones that may have been ``meant``."""

    nearest: str | None = None
    guessed: bool = False
    meant: tuple[str, ...] = ()


class TaughtQuestions:
    """The questions of each fact as they were taught. ``others``: what was taught beside them and is about
    something else; what is nearer to one of these is no question of a fact."""

    def __init__(self, facts: Sequence[Sequence[str]], others: Iterable[str] = ()) -> None:
        asked = [(fact, question) for fact, questions in enumerate(facts) for question in questions]
        asked += [(-place, question) for place, question in enumerate(others, 1)]
        self.facts, self._asked = facts, asked
        texts = [_in_one_way(question) for _, question in asked]
        self._same: dict[str, list[int]] = defaultdict(list)
        self._with: dict[str, list[int]] = defaultdict(list)
        self._pieces: set[str] = set()
        for place, text in enumerate(texts):
            self._same[text].append(place)
            for gram in _grams(text):
                self._with[gram].append(place)
            if asked[place][0] >= 0:
                self._pieces.update(_PIECES.findall(text))
        self._stems = {piece[:STEM] for piece in self._pieces if piece.isascii() and len(piece) >= STEM}
        self._every = len({fact for fact, _ in asked})
        self._weights = {
            gram: _says(gram) * self._rarity(len({asked[one][0] for one in places}))
            for gram, places in self._with.items()
        }
        self._sizes = [self._weight(_grams(text)) for text in texts]
        self._plain: list[list[str]] = [[] for _ in facts]
        for (fact, question), text in zip(asked, texts, strict=True):
            if fact >= 0 and len({asked[place][0] for place in self._same[text]}) == 1:
                self._plain[fact].append(question)
        # A page asks anew of all that was said each time it is drawn.
        self._match = lru_cache(REMEMBERED)(self._compare)

    def nearest(self, question: str) -> str | None:
        """The plainest taught question for the fact that is asked for, in the same script where there is one;
        None where no fact's question is near, or those of two are about as near."""
        return self._match(question).nearest

    def is_guessed(self, question: str) -> bool:
        """Whether a question is asked as none that was taught, of the document or beside it."""
        return self._match(question).guessed

    def meant(self, question: str) -> list[str]:
        """The plainest questions for the few facts that a guessed one may ask for, the likeliest first."""
        return [*self._match(question).meant]

    def forget(self) -> None:
        """What was compared before, where it is compared by other numbers from now on."""
        self._match.cache_clear()

    def _compare(self, question: str) -> Match:
        text = _in_one_way(question)
        if same := {self._asked[place][0] for place in self._same.get(text, ())}:
            alone = max(same) if len(same) == 1 and max(same) >= 0 else None
            return Match(None if alone is None else self._as_asked(alone, question.strip(), text))
        ranked = self._ranked(text)
        fact = self._fact(text, ranked)
        if fact is not None and (plain := self._plainest(fact, text)):
            return Match(plain)
        if any(fact < 0 and near >= NEAR for fact, near in ranked[:1]):
            return Match()
        likely = (self.offered(fact, text) for fact in self._about_the_same(text, ranked))
        return Match(guessed=True, meant=tuple(filter(None, likely)))

    def _fact(self, text: str, ranked: Sequence[tuple[int, float]]) -> int | None:
        """The fact that a question asks for in other words."""
        if not self._can_be_of_a_fact(text):
            return None
        (fact, near), (_, other), *_ = [*ranked[:2], (-1, 0.0), (-1, 0.0)]
        apart = APART_OF_SURE if near >= SURE else APART if near >= NEAR else APART_OF_CLEAR
        least = NEAR if _TO_ONE.search(text) else CLEAR
        return fact if fact >= 0 and near >= least and near >= apart * other else None

    def offered(self, fact: int, text: str = "") -> str | None:
        """Of a fact's questions that ask for nothing else the one that reads best on a button: short, whole,
        and without a quotation or a courtesy; in the script of a ``text``, by default of the first one's."""
        plain = self._plain[fact]
        if not plain:
            return None
        chinese = _is_chinese(text or plain[0])
        alike = [asked for asked in plain if _is_chinese(asked) == chinese]
        return min(alike or plain, key=lambda asked: _reads(asked) - FIRST * (asked == plain[0]))

    @cached_property
    def can_be_asked(self) -> list[str]:
        """One question for each fact, as :meth:`offered`, in the document's order, as many as are listed: a
        page shows them each time it is drawn."""
        offered = (self.offered(fact) for fact in range(len(self.facts)))
        return [*dict.fromkeys(filter(None, offered))][:MOST_LISTED]

    def may_ask_who(self, question: str) -> bool:
        """Whether a question may ask who answers: it speaks to whoever does, and of no fact."""
        return _TO_YOU.search(question) is not None and not self.meant(question)

    def _as_asked(self, fact: int, question: str, text: str) -> str | None:
        """A question that was taught word for word is asked so: it is answered as well as the first one."""
        return question if question in self._plain[fact] else self._plainest(fact, text)

    def _plainest(self, fact: int, text: str) -> str | None:
        """A fact's first question that asks for nothing else, in the script of a text where the fact is
        taught in it: a few wordings in another language than the document's are hardly learned."""
        plain = self._plain[fact]
        alike = [asked for asked in plain if _is_chinese(asked) == _is_chinese(text)]
        return next(iter(alike if LEARNED * len(alike) >= len(plain) else plain), None)

    def _ranked(self, text: str) -> list[tuple[int, float]]:
        """The facts and how near their nearest question is, the nearest first."""
        grams = _grams(text)
        size, shared = self._weight(grams), defaultdict[int, float](float)
        for gram in grams:
            for place in self._with.get(gram, ()):
                shared[place] += self._weights[gram]
        best: dict[int, float] = defaultdict(float)
        for place, both in shared.items():
            fact = self._asked[place][0]
            best[fact] = max(best[fact], 2 * both / (size + self._sizes[place]))
        return sorted(best.items(), key=lambda one: -one[1])

    def _about_the_same(self, text: str, ranked: Sequence[tuple[int, float]]) -> list[int]:
        """Of the ranked facts those that share something of what a question is about, the likeliest first.
        How it asks says nothing of that: "多少钱" stands in the question for every price."""
        grams = [gram for gram in _grams(text) if _is_telling(gram)]
        whole, shared = self._weight(grams), defaultdict[int, float](float)
        for gram in grams:
            for fact in {self._asked[place][0] for place in self._with.get(gram, ())}:
                shared[fact] += self._weights[gram]
        about = {fact: both / whole for fact, both in shared.items() if fact >= 0}
        near = dict(ranked)
        both_ways = {
            fact: near.get(fact, 0.0) + share
            for fact, share in about.items()
            if near.get(fact, 0.0) >= MEANT or share >= ABOUT
        }
        least = BESIDE * max(both_ways.values(), default=0.0)
        likely = sorted(both_ways, key=lambda fact: -both_ways[fact])
        return [fact for fact in likely if both_ways[fact] >= least][:MOST_MEANT]

    def _can_be_of_a_fact(self, text: str) -> bool:
        """Whether it says what it is about, and that is nothing that no fact is about."""
        pieces = _PIECES.findall(text)
        if all(_says_of(piece) < TELLS for piece in pieces):
            return False
        unknown = 0
        for piece in pieces:
            if _says_of(piece) < TELLS or self._is_known(piece):
                unknown = 0
                continue
            unknown += UNKNOWN if piece.isascii() or len(piece) > 1 else 1
            if unknown >= UNKNOWN:
                return False
        return True

    def _is_known(self, piece: str) -> bool:
        return piece in self._pieces or (len(piece) >= STEM and piece[:STEM] in self._stems)

    def _weight(self, grams: Iterable[str]) -> float:
        unknown = self._rarity(0)
        return sum(self._weights[gram] if gram in self._weights else _says(gram) * unknown for gram in grams)

    def _rarity(self, facts: int) -> float:
        """What stands in the questions of so many facts: 1 for one of them, less for more."""
        return log(1 + (self._every + 1) / (facts + 0.5)) / log(1 + (self._every + 1) / 1.5)


def starts_as(said: str, known: Iterable[str]) -> bool:
    """Whether an answer begins with one of those that are ``known``, however it is pointed."""
    letters = _letters(said)
    return any(one and letters.startswith(one) for one in map(_letters, known))


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


def _in_one_way(question: str) -> str:
    """Without courtesies and punctuation at the end, in small letters of one width."""
    text = unicodedata.normalize("NFKC", question).casefold().replace("’", "'").strip()
    for pattern, meant in _ONE_WAY:
        text = pattern.sub(meant, text)
    if (before := _BEFORE.match(text)) and before.end() < len(text):
        text = text[before.end() :]
    return (_BEHIND.sub("", text) or text).strip(" \t\n?.!。,~、…")


def _grams(text: str) -> dict[str, None]:
    """One to three characters of Chinese that stand together, words and their parts, numbers; in order."""
    found: dict[str, None] = {}
    run = ""
    for piece in [*_PIECES.findall(text), " "]:
        if len(piece) == 1 and not piece.isascii():
            run += piece
            continue
        found |= dict.fromkeys(run[at : at + size] for size in (1, 2, 3) for at in range(len(run) - size + 1))
        run = ""
        found |= dict.fromkeys(_of_a_word(piece))
    return found


def _of_a_word(piece: str) -> Iterator[str]:
    if piece == " ":
        return
    yield piece
    if piece.isalpha() and piece.isascii() and len(piece) >= STEM and _says_of(piece) == TELLS:
        edged = f"^{piece}$"
        yield from (f"~{edged[at : at + 3]}" for at in range(len(edged) - 2))


def _is_chinese(text: str) -> bool:
    return _CHINESE.search(text) is not None


def _reads(question: str) -> int:
    """How long a question reads: what is no whole question, quotes, or asks for a thing by its name alone
    reads longer than it is."""
    letters = len(question) if _is_chinese(question) else len(question) // LETTERS
    odd = (not question.rstrip().endswith(("?", "？")), _QUOTED.search(question), _ODD.search(question))
    return letters + ODD * sum(map(bool, odd))


def _is_telling(gram: str) -> bool:
    """Whether it says what is asked about, and not how."""
    if gram.startswith("~"):
        return False
    if gram.isascii() or gram.startswith("周"):
        return _says_of(gram) >= TELLS
    return all(_says_of(one) >= TELLS for one in gram)


def _says_of(piece: str) -> float:
    """Of a word, a number or a character."""
    if piece in _FILLING or piece in _FILLING_WORDS:
        return FILLS
    return ASKS if piece in _ASKING or piece in _ASKING_WORDS else TELLS


def _says(gram: str) -> float:
    """How much it says of what is asked, wherever it stands."""
    if gram.startswith("~"):
        return PART
    if gram.isascii():
        return WORD * _says_of(gram)
    if _PIECES.match(gram) and gram.startswith("周") and len(gram) == 2:
        return DAY
    return sum(map(_says_of, gram)) / len(gram) * (SINGLE if len(gram) == 1 else 1)
