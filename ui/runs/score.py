"""What a proof came to: its numbers with their intervals, by category, and its raw answers to take away."""

import streamlit as st

from core.proof import download, telling
from core.proof.result import parts_of
from core.proof.score import Accuracy, OwnFacts, Score, Share
from core.steps.proof import Proof
from ui.shell.text import spoken, t, together

# A category by category table is no longer than this: it scrolls.
TABLE_HEIGHT = 420
# From here on a share is told as all of it, in words, or as most.
ALMOST_ALL, MOST = 0.9, 0.75


def show_score(score: Score) -> None:
    """What it learned and kept, of own data first: each number, of how many questions it is, and in its help
    its interval."""
    with st.container(horizontal=True, gap="medium", key="score"):
        if score.facts:
            _facts(score.facts)
        for name in ("learned", "kept"):
            found: Share = getattr(score, name)
            shown = "–" if found.value is None else f"{found.value:.0%}"
            _metric(name, shown, _of(found), found)
        leaked = score.leaked
        _metric(
            "leaked", str(leaked.hits), spoken("page.compare.of_all", n=leaked.n) if leaked.n else "", leaked
        )


def _of(found: Share) -> str:
    return spoken("page.compare.of", hits=found.hits, n=found.n) if found.n else ""


def _show_more(score: Score) -> None:
    """What nobody needs to know whether it learned and kept: right answers, and how it speaks now."""
    with st.container(horizontal=True, gap="medium", key="more_score"):
        if score.accuracy:
            _accuracy(score.accuracy)
        if score.drift:
            ends = {"low": f"{score.drift.low:.3f}", "high": f"{score.drift.high:.3f}"}
            _metric("drift", f"{score.drift.value:.3f}", spoken("proof.interval.drift", **ends))
        if score.repetition:
            base = spoken("proof.interval.repetition", base=f"{score.repetition.base:.0%}")
            _metric("repetition", f"{score.repetition.tuned:.0%}", base)


def _accuracy(found: Accuracy) -> None:
    """How many general questions it answers rightly, and how many the base did."""
    shown = spoken("page.compare.facts.of", hits=found.tuned.hits, n=found.tuned.n)
    change = telling.changed(found)
    _metric("accuracy", shown, spoken("page.compare.accuracy.base", base=found.base.hits, change=change))


def _facts(found: OwnFacts) -> None:
    """How many of a person's own facts it answers, and how many the base did."""
    hits, n = found.tuned.hits, found.tuned.n
    how = telling.asked_in(n, found.held_back)
    shown = spoken("page.compare.facts.of", hits=hits, n=n)
    _metric("facts", shown, spoken("page.compare.facts.base", base=found.base.hits), found.tuned, how=how)


def show_sentence(score: Score, beside_answers: bool = False) -> bool:
    """What came out, in a line each, of own data first; whether there is one: not where nobody wrote of how
    many questions. ``beside_answers``: the page has all of them, and needs not say where they are."""
    if not _counted(score):
        return False
    if score.facts:
        show_own(score.facts, beside_answers)
    show_shipped(score)
    return True


def show_first_line(score: Score) -> None:
    """The one number that is looked for first: of own data, where there is any, else who it is."""
    if score.facts:
        st.markdown(_answered(score.facts))
    elif _counted(score):
        st.markdown(_part(score.learned, "learned", _how_much(score.learned)))


def show_shipped(score: Score) -> None:
    """Who it is, what it has kept and whether it says so unasked, each in a line."""
    if _counted(score):
        leaked = _part(score.leaked, "leaked", "some" if score.leaked.hits else "none")
        learned = _part(score.learned, "learned", _how_much(score.learned))
        st.markdown("\n".join(f"- {line}" for line in (learned, _still_known(score), leaked)))


def _counted(score: Score) -> bool:
    return bool(score.learned.n and score.kept.n and score.leaked.n)


def show_own(found: OwnFacts, beside_answers: bool = False) -> None:
    """How many of a person's own facts it answers, how they were asked, and where those are that it tells
    wrongly: whoever relies on them has to know."""
    n, held_back = found.tuned.n, found.held_back
    wordings = "held_back" if held_back == n else "some" if held_back else "taught"
    how = t(f"page.compare.out.facts.{wordings}", held_back=held_back)
    if found.tuned.hits == n:
        st.markdown(together(_answered(found), how))
        return
    where = "" if beside_answers else t("page.compare.out.facts.where")
    said = together(_answered(found), how, t("page.compare.out.facts.wrong"), where)
    st.warning(said, icon=":material/warning:")


def _answered(found: OwnFacts) -> str:
    return t("page.compare.out.facts", hits=found.tuned.hits, n=found.tuned.n)


def _how_much(found: Share) -> str:
    return "all" if _almost_all(found) else "most" if (found.value or 0) >= MOST else "some"


def _almost_all(found: Share) -> bool:
    return (found.value or 0) >= ALMOST_ALL


def _still_known(score: Score) -> str:
    """What was lost for others that were gained is no forgetting: whether it answers fewer rightly tells."""
    found = score.accuracy
    if _almost_all(score.kept) or found is None or found.high < 0:
        return _part(score.kept, "kept", "all" if _almost_all(score.kept) else "some")
    counts = {"hits": score.kept.hits, "n": score.kept.n, "gained": found.gained}
    return t("page.compare.out.kept.swings", **counts)


def _part(found: Share, name: str, how: str) -> str:
    return t(f"page.compare.out.{name}.{how}", hits=found.hits, n=found.n)


def _metric(name: str, value: str, below: str, share: Share | None = None, **values: object) -> None:
    """``share``: of which the help says the interval."""
    interval = telling.interval(share, form=telling.PERCENT) if share else ""
    sure = t("page.compare.interval", interval=interval) if interval else ""
    st.metric(
        t(f"runs.{name}"),
        value,
        below or None,
        delta_color="off",
        delta_arrow="off",
        help=together(t(f"chain.{name}.help", **values), sure),
        width="content",
    )


def show_parts(found: Proof) -> None:
    """More numbers, and the same ones by category, where the questions say of which they are."""
    parts = parts_of(found.rows, by_language=False)  # of one in one language a chain asks one or two
    if not parts:
        return
    with st.expander(t("page.compare.categories"), icon=":material/table_chart:", key="categories"):
        _show_more(found.score)
        st.caption(t("page.compare.categories.what"))
        rows = [
            {
                "category": spoken(f"category.{part.category}"),
                "learned": _told(part.score.learned),
                "kept": _told(part.score.kept),
                "leaked": telling.count(part.score.leaked, form=telling.PERCENT)
                if part.score.leaked.n
                else "",
            }
            for part in parts
        ]
        names = {"category": "page.compare.category"}
        names |= {name: f"runs.{name}" for name in ("learned", "kept", "leaked")}
        columns = {name: st.column_config.TextColumn(spoken(key)) for name, key in names.items()}
        height = TABLE_HEIGHT if len(rows) > 10 else "auto"
        st.dataframe(rows, hide_index=True, column_config=columns, height=height, key="categories_table")


def _told(share: Share) -> str:
    return telling.share(share, form=telling.PERCENT) if share.n else ""


def offer_answers(found: Proof, run: str) -> None:
    """The raw answers with their verdicts, for whoever counts by himself."""
    with st.container(horizontal=True, key="download"):
        for kind, written in (("jsonl", download.json_lines), ("csv", download.spreadsheet)):
            st.download_button(
                t(f"page.compare.download.{kind}"),
                written(found.rows),
                f"{run}-answers.{kind}",
                icon=":material/download:",
                key=f"download_{kind}",
            )
