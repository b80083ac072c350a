"""Where a call was made, seen from another thread."""

import gc
import sys
import threading

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


def test_no_garbage_collection_begins_while_frames_are_listed():
    """It would run Python code under the interpreter's own lock, and wait for a thread that waits for it."""
    began = []

    def noted(phase, _info):
        if phase == "start":
            frame = sys._getframe(1)
            began.append(frame.f_code.co_name)

    thresholds = gc.get_threshold()
    gc.callbacks.append(noted)
    gc.set_threshold(1, 1, 1)
    try:
        for _ in range(50):
            user_callsite(threading.get_ident())
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(noted)

    assert gc.isenabled()
    assert "_frame_of" not in began
