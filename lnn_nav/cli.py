"""The command `lnn-nav`: a verb, then its options."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

VERBS = {
    "fly": "fly one mission: film, report, record and verdict",
    "train": "train a pilot",
    "evaluate": "fly many missions and count",
    "verify": "check a pilot's safety on a suite",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb.

    Args:
        arguments: the verb and its options; those of the process if None.

    Returns:
        The verb's exit code; 2 for no verb, or one that there is not.
    """
    verb, *rest = list(sys.argv[1:] if arguments is None else arguments) or [""]
    if verb in VERBS:
        # Only the verb that is asked for is imported: each has much to import.
        return import_module(f"lnn_nav.commands.{verb}").main(rest)
    if verb in ("-h", "--help"):
        print(_usage())
        return 0
    if verb == "--version":
        print(f"lnn-nav {version('lnn-nav')}")
        return 0
    got = f"got {verb!r}" if verb else "got none"
    print(f"lnn-nav: verb: expected one of {', '.join(VERBS)}, {got}", file=sys.stderr)
    return 2


def _usage() -> str:
    lines = [f"  {verb:<10}{text}" for verb, text in VERBS.items()]
    return "\n".join(
        ["usage: lnn-nav VERB [options]", "", *lines, "", "lnn-nav VERB --help lists the options."]
    )
