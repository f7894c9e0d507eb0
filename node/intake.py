"""Entries on their way in, from peers and from the local socket, until they are pending or refused.

Pure. Cheap first: form, then policy, then the signature (in batches, elsewhere), then policy again as the
world may have moved. Whoever typed an entry here is answered once it is in the journal on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from node.checks import SignatureChecks
from node.events import NOTHING, Answer, Level, Notice, Now
from node.gossip import Gossip
from node.ledger import rules
from node.ledger.entry import Entry, decode_entry
from node.ledger.errors import RuleBroken
from node.mempool import Checked, Held, InCheck, Mempool, Refused, Saved, Verified
from node.mempool.checking import MAX_IN_CHECK
from node.messages import Reject
from node.outbox import Outbox
from node.recent import Recent
from node.sessions import Sessions
from node.storage.port import Store

MAX_TURNED_AWAY: Final = 10_000
"""Refused entries that are remembered until the next tip."""
FROM_FILE: Final = -1
"""Origin of an entry that was saved when the node stopped."""
_PASSING: Final = ("checks-full", "already-in-check", "already-pending")
"""Codes of refusals that say nothing about the entry."""
RESTORED_AT_ONCE: Final = 2_000
"""Saved entries whose signatures are checked together; the others wait, or they would fill the check."""


@dataclass(slots=True)
class _Submission:
    """Entries typed here, to be answered together."""

    request: int
    results: list[object]
    missing: int
    journal: list[bytes]
    """Entries that are to be there before the answer leaves."""
    after: int = NOTHING
    """The batch that has its one entry in the journal already."""


class _Asker(NamedTuple):
    """Who waits for an entry that is being checked."""

    submission: _Submission
    place: int


class Intake:
    """The way of an entry into the mempool."""

    def __init__(
        self,
        network_id: bytes,
        store: Store,
        mempool: Mempool,
        checks: SignatureChecks,
        sessions: Sessions,
        out: Outbox,
    ) -> None:
        self._network_id = network_id
        self._store = store
        self._mempool = mempool
        self._checks = checks
        self._sessions = sessions
        self._out = out
        self._in_check = InCheck()
        self._askers: dict[bytes, list[_Asker]] = {}
        self._restoring: dict[bytes, Held] = {}
        """Saved entries that were not looked at again yet, or are being checked, by txid."""
        self._restored_in_check = 0
        self._turned_away: Recent[bytes, None] = Recent(MAX_TURNED_AWAY)
        """Refused by policy since the last tip; peers that tell of these are not asked for them."""
        self._known = (mempool.txids, self._in_check.txids, self._restoring.keys(), self._turned_away.keys)
        """Where a name may stand that need not be fetched; views, which are asked in C."""
        self.verified = Verified()
        """Names of entries whose signatures were checked."""
        self.has_journalled_in_vain = False
        """Until whoever saves the pending entries, which empties the journal, has seen it."""
        self.added: Callable[[Entry, int | None, bool, Now], None] = lambda *_: None
        """Called with each entry that is pending now, the connection it came from, and whether it is own."""

    def is_known(self, txid: bytes) -> bool:
        """True where an entry need not be fetched."""
        pending, in_check, restoring, turned_away = self._known
        return txid in pending or txid in in_check or txid in restoring or txid in turned_away

    def at_hand(self) -> list[Entry]:
        """Return all entries that a block may be made of: pending, being checked, saved at the last stop."""
        entries = [pending.entry for pending in self._mempool]
        entries += self._in_check.entries()
        entries += (held.entry for held in self._restoring.values())
        return entries

    def room(self) -> int:
        """Return how many entries of peers could be taken in now; some places are for those typed here."""
        return MAX_IN_CHECK // 2 - len(self._in_check)

    def tip_changed(self) -> None:
        """Look again at what was refused: it may fit the new tip."""
        self._turned_away.clear()

    # ---------------------------------------------------------------------------------------- from peers

    def from_peer(self, connection: int, raws: Sequence[bytes], gossip: Gossip, now: Now) -> None:
        """Take an ENTRIES message."""
        entries = []
        try:
            entries = [decode_entry(raw) for raw in raws]
        except RuleBroken as broken:
            self._sessions.fault(connection, broken.rule, 100, f"entry: {broken.detail}", now)
            return
        held = [
            entry
            for entry in entries
            if not self.is_known(entry.txid)
            and self._hold(Held(entry, own=False, received_ms=now.wall_ms, origin=connection), now)
        ]
        gossip.entries_came(connection, [entry.txid for entry in entries], now)  # more fit beside these
        self._check(held, now)

    def _hold(self, held: Held, now: Now) -> bool:
        try:
            self._admit(held, now)
            self._in_check.hold(held)
        except Refused as refused:
            self._refused(held, refused)
            return False
        return True

    def _admit(self, held: Held, now: Now) -> None:
        if self._restoring and held.own and held.entry.txid not in self._restoring:
            # Neither is ever evicted: what is typed now must not take the place of what was promised before.
            coming = len(self._restoring) + len(self._in_check)
            if not self._mempool.has_room_beside(coming):
                raise Refused(
                    "mempool-full", "what waited before the stop is still checked", "try again in a moment"
                )
        self._mempool.admit(
            held.entry,
            self._store.account(held.entry.sender),
            self._store.tip().header.timestamp_ms,
            now.wall_ms,
            own=held.own,
            replace=held.replace,
            waited=held.origin == FROM_FILE,
        )

    # ------------------------------------------------------------------------------------ typed here

    def submit(self, request: int, raws: Sequence[bytes], now: Now, *, replace: bool) -> None:
        """Take entries from the local socket; answers a list, for each its txid or the refusal.

        Without `replace`, a nonce that another pending entry has counts as used.
        """
        submission = _Submission(request, [None] * len(raws), len(raws), [])
        held = []
        for index, raw in enumerate(raws):
            entry = self._submit_one(_Asker(submission, index), raw, now, replace=replace)
            if entry is not None:
                held.append(entry)
        if held and len(raws) == 1:
            self._journal_ahead(held[0], submission)
        self._check(held, now)
        if not raws:
            self._answer(submission)

    def _submit_one(self, asker: _Asker, raw: bytes, now: Now, *, replace: bool) -> Entry | None:
        """Return the entry where its signature is to be checked."""
        try:
            entry = decode_entry(raw)
        except RuleBroken as broken:
            self._tell(
                asker, _refusal(broken.rule, broken.detail, "this is no entry: was it cut or changed?")
            )
            return None
        if self._mempool.adopt(entry.txid):
            asker.submission.journal.append(raw)
            self._tell(asker, entry.txid.hex())
            return None
        askers = self._askers.setdefault(entry.txid, [])
        askers.append(asker)
        if entry.txid in self._in_check:
            return None
        held = Held(entry, own=True, received_ms=now.wall_ms, origin=0, replace=replace)
        return entry if self._hold(held, now) else None

    def _journal_ahead(self, entry: Entry, submission: _Submission) -> None:
        """Have the disk write an entry that came alone while its signature is verified.

        Where no older one of its sender is being checked, the verdict comes in the same step, so that nothing
        else can refuse it any more: what was refused must never come back. One with a bad signature is in the
        journal for nothing; no start takes it from there.
        """
        if self._in_check.is_next(entry):
            batch = self._out.batch()
            batch.journal.append(entry.raw)
            submission.after = self._out.stage_ahead(batch)

    def restore(self, saved: Sequence[Saved], now: Now) -> None:
        """Take entries that were pending when the node stopped, and check them again, in parts.

        What was typed here goes before another entry of its nonce: that one may have been evicted since the
        file was written, and what was typed in its place after it.
        """
        found = [held for one in saved if (held := _held_again(one)) is not None]
        typed = [held.entry for held in found if held.own]
        nonces = {(entry.sender, entry.nonce) for entry in typed}
        txids = {entry.txid for entry in typed}
        for held in found:
            entry = held.entry
            if not held.own and (entry.sender, entry.nonce) in nonces and entry.txid not in txids:
                continue
            before = self._restoring.get(entry.txid)
            if before is None or not before.own:  # what was typed here is in the journal too
                self._restoring[entry.txid] = held
        self._restore_some(now)

    def restoring(self) -> Mapping[bytes, Held]:
        """Return the saved entries that are not checked again yet, by txid: they were told of as pending."""
        return self._restoring

    def _restore_some(self, now: Now) -> None:
        """Begin to check the next saved entries, unless some still are; what cannot be pending goes."""
        if self._restored_in_check:
            return
        entries = []
        for held in list(islice(self._restoring.values(), RESTORED_AT_ONCE)):
            entry = held.entry
            try:
                self._admit(held, now)
                self._in_check.hold(held)
            except Refused as refused:
                if refused.code == "checks-full":
                    break  # its turn comes when others are checked
                del self._restoring[entry.txid]
            else:
                entries.append(entry)
        self._restored_in_check = len(entries)
        if entries or not len(self._in_check):
            self._check(entries, now)

    # ------------------------------------------------------------------------------------- signatures

    def _check(self, entries: list[Entry], now: Now) -> None:
        """Have the signatures verified that were not before; `now` is when the entries came."""
        unknown = [entry for entry in entries if entry.txid not in self.verified]
        items = rules.signature_items(self._network_id, unknown)

        def done(bad: list[int]) -> None:
            wrong = {unknown[index].txid for index in bad}
            tip_ms = self._store.tip().header.timestamp_ms
            for entry in entries:
                for checked in self._in_check.settle(entry.txid, valid=entry.txid not in wrong):
                    self._checked(checked, tip_ms, now)
            if self._restoring:
                self._restore_some(now)

        self._checks.ask(items, done)

    def _checked(self, checked: Checked, tip_ms: int, now: Now) -> None:
        held = checked.held
        entry = held.entry
        if held.origin == FROM_FILE:
            self._restored_in_check -= 1
            del self._restoring[entry.txid]
        if not checked.valid:
            broken = rules.signature_broken()
            if held.origin > 0:
                self._sessions.fault(
                    held.origin, broken.rule, 100, f"entry {_short(entry)}: {broken.detail}", now
                )
            self.has_journalled_in_vain |= any(
                one.submission.after for one in self._askers.get(entry.txid, ())
            )
            hint = "it was changed after it was signed, or signed for another network"
            self._answer_askers(entry, _refusal(broken.rule, broken.detail, hint))
            return
        self.verified.add(entry.txid)
        askers = self._askers.get(entry.txid, ())
        own = held.own or bool(askers)
        try:
            added = self._mempool.add(
                entry,
                self._store.account(entry.sender),
                tip_ms,
                now.wall_ms,
                own=own,
                received_ms=held.received_ms,
                replace=held.replace,
                waited=held.origin == FROM_FILE,
            )
        except Refused as refused:
            self._refused(held, refused)
            return
        self._tell_added(held, len(added.evicted))
        for asker in askers:
            if asker.submission.after == NOTHING:
                asker.submission.journal.append(entry.raw)
        if askers:
            self._answer_askers(entry, entry.txid.hex())
        self.added(entry, held.origin if held.origin > 0 else None, own, now)

    def _tell_added(self, held: Held, evicted: int) -> None:
        if held.origin == FROM_FILE:
            source = "from before the stop"
        else:
            source = "typed here" if held.own else f"peer {self._sessions.name(held.origin)}"
        more = f", {evicted} cheaper ones gave way" if evicted else ""
        txid, sender = held.entry.txid.hex(), held.entry.sender.hex()
        text = f"{source}: entry {txid[:8]}… pending{more}"
        self._out.emit(Notice("entry-pending", text, Level.INFO, {"txid": txid, "sender": sender}))

    # --------------------------------------------------------------------------------------- refusals

    def _refused(self, held: Held, refused: Refused) -> None:
        """Say no by policy: it costs a peer nothing."""
        entry = held.entry
        self._answer_askers(entry, _refusal(refused.code, refused.detail, refused.hint))
        if held.origin > 0:
            if refused.code not in _PASSING:
                self._turned_away.note(entry.txid, None)
            self._out.notice(
                "entry-refused",
                f"peer {self._sessions.name(held.origin)}: entry {_short(entry)} refused ({refused.code})",
                Level.DEBUG,
                fields={"txid": entry.txid.hex(), "code": refused.code},
            )
            self._sessions.send(held.origin, Reject(refused.code, entry.txid))

    def _answer_askers(self, entry: Entry, result: object) -> None:
        for asker in self._askers.pop(entry.txid, ()):
            self._tell(asker, result)

    def _tell(self, asker: _Asker, result: object) -> None:
        submission = asker.submission
        submission.results[asker.place] = result
        submission.missing -= 1
        if submission.missing == 0:
            self._answer(submission)

    def _answer(self, submission: _Submission) -> None:
        after = submission.after or self._out.durable
        if submission.journal:
            batch = self._out.batch()
            batch.journal.extend(submission.journal)
            after = self._out.stage(batch)
        self._out.claim(Answer(submission.request, submission.results, after), after)


def _held_again(saved: Saved) -> Held | None:
    try:
        entry = decode_entry(saved.raw)
    except RuleBroken:
        return None
    return Held(entry, own=saved.own, received_ms=saved.received_ms, origin=FROM_FILE)


def _refusal(code: str, message: str, hint: str) -> dict[str, str]:
    return {"code": str(code), "message": message, "hint": hint}


def _short(entry: Entry) -> str:
    return entry.txid.hex()[:8] + "…"
