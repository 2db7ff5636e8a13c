"""The browser tab's title and icon: how far something is, and how it ended, for whoever reads another tab."""

from math import tau

import streamlit as st

from core.jobs.status import LIVE, State
from ui.shell.text import spoken

RADIUS = 12.0
# A ring that fills; where it has ended, a full one with its mark. White below, for dark tabs.
RING = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke-linecap="round">'
    '<circle cx="16" cy="16" r="15.5" fill="#fff"/>'
    '<circle cx="16" cy="16" r="{radius}" stroke="{color}" stroke-opacity=".25" stroke-width="6"/>'
    '<circle cx="16" cy="16" r="{radius}" stroke="{color}" stroke-width="6" transform="rotate(-90 16 16)"'
    ' stroke-dasharray="{filled:.1f} {whole:.1f}"/></svg>'
)
ENDED = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke-linecap="round"'
    ' stroke-linejoin="round"><circle cx="16" cy="16" r="15.5" fill="{color}"/>'
    '<path d="{mark}" stroke="#fff" stroke-width="4"/></svg>'
)
BLUE, GREEN, RED, GRAY = "#1f6feb", "#15803d", "#b91c1c", "#57606a"
TICK, CROSS, BAR = "M9 17l5 5 9-11", "M11 11l10 10M21 11l-10 10", "M11 11h10v10h-10z"
END = {
    State.finished: ("finished", GREEN, TICK),
    State.failed: ("failed", RED, CROSS),
    State.lost: ("failed", RED, CROSS),
    State.stopped: ("stopped", GRAY, BAR),
}


def show_in_tab(name: str, state: State | None, share: float) -> None:
    """``name`` is what is made, ``share`` how far it is (0 to 1)."""
    if state in LIVE:
        st.set_page_config(
            page_title=spoken("tab.live", share=f"{share:.0%}", name=name), page_icon=ring(share)
        )
    elif state in END:
        end, color, mark = END[state]
        icon = ENDED.format(color=color, mark=mark)
        st.set_page_config(page_title=spoken(f"tab.{end}", name=name), page_icon=icon)


def ring(share: float) -> str:
    """An icon filled to ``share``, in twentieths: more nobody sees, and each is another picture to send."""
    around = tau * RADIUS
    filled = around * max(1, round(20 * share)) / 20
    return RING.format(color=BLUE, radius=RADIUS, filled=filled, whole=around)
