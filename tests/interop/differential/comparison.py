"""What two servers said, compared; and every difference that is intended, with its reason."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.documents import ROOT

RECORDING = ROOT / "tests" / "vectors" / "livekit" / "differential" / "session.json"

Said = dict[str, Any]
Place = tuple[str, str]
"""A step as text, and of it: ``answer``, a participant's ``told`` or ``state``; or ``refusal`` and its case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intended:
    """A difference that is meant. ``canonical``: what both said at a place, without it."""

    name: str
    reason: str
    canonical: Callable[[Place, Any], Any]


def _without_red(place: Place, said: Any) -> Any:
    return json.loads(json.dumps(said).replace('"audio/red"', '"audio/opus"'))


V1_ANSWERS = (400, 401, 404)
"""LiveKit's to a request that is not one, and ours to everything."""

TOKEN_ERRORS = {
    "invalid token: TOKEN, error: token has invalid claims: token is expired": "expired",
    "invalid token: it is expired": "expired",
    "invalid token: TOKEN, error: token signature is invalid: signature is invalid": "signature",
    "invalid token: its signature is not valid": "signature",
}
"""The same said by both, by what it says."""


def _without_v1(place: Place, said: Any) -> Any:
    is_v1 = place[0] == "refusal" and "/rtc/v1" in place[1]
    return "not spoken" if is_v1 and said[0] in V1_ANSWERS else said


def _without_token_errors(place: Place, said: Any) -> Any:
    if place[0] == "refusal" and isinstance(said, list) and said[1] in TOKEN_ERRORS:
        return [said[0], TOKEN_ERRORS[said[1]], ""]
    return said


INTENDED: tuple[Intended, ...] = (
    Intended(
        name="RED",
        reason="redundant audio (RFC 2198) is not negotiated yet, so a microphone's track is told as what it is: Opus",
        canonical=_without_red,
    ),
    Intended(
        name="one peer connection",
        reason="/rtc/v1 is not spoken: it answers 404 to everything, which sends clients to /rtc",
        canonical=_without_v1,
    ),
    Intended(
        name="tokens in refusals",
        reason="a refusal never repeats the token, which logs and screens would keep; status and meaning are the same",
        canonical=_without_token_errors,
    ),
)


def canonical(place: Place, said: Any, intended: tuple[Intended, ...]) -> Any:
    """What was said, without differences that are meant."""
    for one in intended:
        said = one.canonical(place, said)
    return said


def places(ours: Said, theirs: Said) -> Iterator[tuple[Place, Any, Any]]:
    """What each said at every place where one of them said something."""
    for mine, other in zip(ours["steps"], theirs["steps"], strict=True):
        assert mine["step"] == other["step"], "the recording is of another session: make differential RECORD=1"
        name = json.dumps(mine["step"])[:120]
        yield (name, "answer"), mine["answer"], other["answer"]
        for kind in ("told", "state"):
            for who in sorted(mine[kind].keys() | other[kind].keys()):
                yield (name, f"{kind} {who}"), mine[kind].get(who), other[kind].get(who)
    for case in sorted(ours["refusals"].keys() | theirs["refusals"].keys()):
        yield ("refusal", case), ours["refusals"].get(case), theirs["refusals"].get(case)


def differences(ours: Said, theirs: Said, intended: tuple[Intended, ...] = INTENDED) -> list[str]:
    """Every place where they differ and should not."""
    lines = []
    for place, said, other in places(ours, theirs):
        mine, wanted = canonical(place, said, intended), canonical(place, other, intended)
        if mine != wanted:
            lines.append(f"{place[0]}, {place[1]}:\n{_told_apart(mine, wanted)}")
    return lines


def unneeded(ours: Said, theirs: Said) -> list[str]:
    """Intended differences without which nothing would differ that does not differ anyhow."""
    found = len(differences(ours, theirs))
    return [
        one.name
        for one in INTENDED
        if len(differences(ours, theirs, tuple(other for other in INTENDED if other is not one))) == found
    ]


def _told_apart(mine: Any, other: Any) -> str:
    if isinstance(mine, dict) and isinstance(other, dict) and "events" in mine and "events" in other:
        what = "order" if mine["events"] == other["events"] else "events"
        mine, other = mine[what], other[what]
    if isinstance(mine, list) and isinstance(other, list):
        only_mine = [each for each in mine if each not in other]
        only_other = [each for each in other if each not in mine]
    else:
        only_mine, only_other = [mine], [other]
    lines = [f"    ours only:    {json.dumps(each, ensure_ascii=False)[:600]}" for each in only_mine]
    lines += [f"    LiveKit only: {json.dumps(each, ensure_ascii=False)[:600]}" for each in only_other]
    return "\n".join(lines)
