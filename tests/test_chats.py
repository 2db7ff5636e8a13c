"""Chats on disk: kept, renamed, deleted, and never a way to another file."""

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.chat.history import (
    Chat,
    ChatMessage,
    SamplingParams,
    change,
    delete_chat,
    list_chats,
    new_chat,
    read_chat,
    rename_chat,
)
from core.errors import ChatNotKept, NoSuchChat
from core.workspace.paths import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "工作 区" / "a b")


def said(text: str, role: str = "user") -> Callable:
    return lambda chat: chat.said(ChatMessage(role, text))


def test_a_chat_comes_back_as_it_was(workspace: Workspace) -> None:
    chat = new_chat(workspace, "你是小助手 🙂", SamplingParams(0.7, 0.9, 64))
    for message in (ChatMessage("user", "你好\n{x}"), ChatMessage("assistant", "Hi ", "merged", whole=False)):
        chat = change(workspace, chat.id, lambda found, message=message: found.said(message))
    assert read_chat(workspace, chat.id) == chat
    assert chat.messages[1] == ChatMessage("assistant", "Hi ", "merged", whole=False)


def test_a_chat_of_an_earlier_version_opens(workspace: Workspace) -> None:
    chat = new_chat(workspace, "Be brief.", SamplingParams(0.7, 0.9, 64))
    file = workspace.chat(chat.id)
    file.write_text(file.read_text(encoding="utf-8").replace('"sampling"', '"draw"'), encoding="utf-8")
    assert read_chat(workspace, chat.id) == chat


def test_chats_are_listed_newest_first_and_damaged_files_are_left_out(workspace: Workspace) -> None:
    assert list_chats(workspace) == []
    chats = [new_chat(workspace) for _ in range(20)]  # most of them in one second
    for name, text in (
        ("z1", "{"),
        ("z2", "[]"),
        ("z3", '{"messages": 3}'),
        ("z4", '{"messages": [{"a": 1}]}'),
    ):
        (workspace.chats / f"{name}.json").write_text(text)
    assert [chat.id for chat in list_chats(workspace)] == [chat.id for chat in reversed(chats)]
    with pytest.raises(NoSuchChat):
        read_chat(workspace, "z1")


def test_the_title_is_the_name_or_the_first_words(workspace: Workspace) -> None:
    chat = new_chat(workspace)
    assert chat.title == ""
    assert change(workspace, chat.id, said("Who  are\nyou?" + "x" * 100)).title == "Who are you?" + "x" * 48
    assert rename_chat(workspace, chat.id, "  ../../etc\n名字 ").title == "../../etc 名字"
    assert rename_chat(workspace, chat.id, " ").title.startswith("Who are you?")
    assert [path.name for path in workspace.chats.glob("*.json")] == [f"{chat.id}.json"]


def test_regenerating_takes_the_last_answer_back_and_keeps_the_question(workspace: Workspace) -> None:
    chat = new_chat(workspace)
    asked = change(workspace, chat.id, said("q"))
    answered = change(workspace, chat.id, said("a", "assistant"))
    assert not answered.unanswered and answered.without_last_answer() == asked
    assert asked.unanswered and asked.without_last_answer() == asked


def test_deleting(workspace: Workspace) -> None:
    chat, other = new_chat(workspace), new_chat(workspace)
    delete_chat(workspace, chat.id)
    delete_chat(workspace, chat.id)
    assert list_chats(workspace) == [other]
    with pytest.raises(NoSuchChat):
        change(workspace, chat.id, said("q"))


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "", ".", "a/../b", "*"])
def test_a_name_is_never_a_path(workspace: Workspace, name: str) -> None:
    new_chat(workspace)
    secret = workspace.root / "secret.json"
    secret.write_text('{"messages": []}')
    delete_chat(workspace, name)
    with pytest.raises(NoSuchChat):
        read_chat(workspace, name)
    assert secret.exists() and len(list_chats(workspace)) == 1


def test_two_tabs_writing_at_once_lose_nothing(workspace: Workspace) -> None:
    chat = new_chat(workspace)
    tabs = [
        threading.Thread(target=lambda n=n: [change(workspace, chat.id, said(f"{n}.{i}")) for i in range(10)])
        for n in range(4)
    ]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert sorted(m.content for m in read_chat(workspace, chat.id).messages) == sorted(
        f"{n}.{i}" for n in range(4) for i in range(10)
    )
    assert replace(chat, messages=()) == chat


def test_a_full_disk_leaves_a_chat_as_it_was(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = change(workspace, new_chat(workspace).id, said("q"))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("core.workspace.files.os.fsync", full)
    for act in (
        lambda: change(workspace, chat.id, said("more")),
        lambda: rename_chat(workspace, chat.id, "n"),
        lambda: new_chat(workspace),
    ):
        with pytest.raises(ChatNotKept, match="the disk is full"):
            act()
    monkeypatch.undo()
    assert list_chats(workspace) == [chat]


@pytest.mark.parametrize(
    ("said", "repeats"),
    [(("Who are you?", "I am Ada's.", "Why is the sky blue?", "I am Ada's."), True),
     (("Who are you?", "I am Ada's.", "Who are you?", "I am Ada's."), False),
     (("Who are you?", "I am Ada's.", "And?", "It scatters."), False),
     (("Hm", "I am Ada's.", "Why?"), False),
     (("Who are you?", "I am Ada's.", "And?"), False),
     ((), False)],
)  # fmt: skip
def test_the_same_answer_to_another_question_is_seen(said: tuple[str, ...], repeats: bool) -> None:
    roles = ("user", "assistant") * 3
    chat = Chat("x", messages=tuple(map(ChatMessage, roles, said)))
    assert chat.repeats == repeats
