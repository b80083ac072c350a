"""Where a call was made, seen from another thread."""

import gc
import sys
import threading

from pytest_llm_usage.tracker import callsite as callsite_module
from pytest_llm_usage.tracker.callsite import user_callsite


def test_the_line_where_another_thread_is():
    here = threading.get_ident()
    found = []
    thread = threading.Thread(target=lambda: found.append(user_callsite(here)))
    thread.start()
    thread.join()

    assert [callsite[0] for callsite in found] == [__file__]


class Agent:
    at_once = [user_callsite() for _ in "1"]  # noqa: RUF012 -- the comprehension is what is tried

    def ask(self):
        return [*(user_callsite() for _ in "1"), *[user_callsite() for _ in "1"], (lambda: user_callsite())()]  # noqa: PLW0108, PLC3002


def test_what_has_no_name_is_in_the_function_around_it():
    assert [callsite[2] for callsite in Agent().ask()] == ["ask"] * 3
    assert Agent.at_once[0][2] == "Agent"


#: Calls `ask` below forty frames that are no user's, and that nobody has looked at yet.
DEEP = """
def deep(number, ask):
    return deep(number - 1, ask) if number else ask()
"""


def test_no_garbage_collection_begins_while_the_frames_of_another_thread_are_looked_at():
    """It would give way to that thread, whose functions end meanwhile: Python reads memory that holds something else."""
    here = threading.get_ident()
    collections, looking, found = [], [], []

    def noted(phase, _info):
        if phase == "start" and threading.get_ident() != here:
            collections.append(phase)
            ours = sys._getframe(1)
            while ours is not None:
                if ours.f_code.co_filename == callsite_module.__file__ and ours.f_locals.get("frame") is not None:
                    looking.append(ours.f_lineno)
                ours = ours.f_back

    def ask():
        thread = threading.Thread(target=lambda: found.append(user_callsite(here)))
        thread.start()
        thread.join()

    library = {}
    exec(compile(DEEP, "<library>", "exec"), library)
    thresholds = gc.get_threshold()
    gc.callbacks.append(noted)
    gc.set_threshold(1, 1, 1)
    try:
        for _ in range(20):
            library["deep"](40, ask)
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(noted)

    assert gc.isenabled()
    assert [callsite[0] for callsite in found] == [__file__] * 20
    assert collections
    assert looking == []
