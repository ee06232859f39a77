"""The limiters of all processes together, in Redis: what one process learns of an account holds for every other at once.

Each question and each report is one script, which reads the server's own clock, so that no process's clock counts. Running calls
are leases: those of a process that was killed end by themselves. Where the server is away, each process counts for itself with a
quarter of what the account takes, and asks the server again after some seconds. The rules are those of `app.transport.limits`.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import redis
import structlog

from app.ports.limiters import Ceilings, Change, Changed, Limiter, Report, Usage, Verdict, Wait, Why
from app.transport import limits
from app.transport.limits import Book, Entry, LocalLimiter, LocalLimiters, State

log = structlog.get_logger("ordersync.limits")

_AWAY = 10.0
"""Seconds for which a server that was found away is not asked again: finding out takes up to two seconds."""
_SHARE = 4
"""Without the server each process takes a quarter: a worker has four processes (`app.celery_door.CONCURRENCY`)."""
_PREFIX = "ordersync:limit"
_OWN_KEY = "scripts"
"""No account's key: with it is found out whether the scripts may run."""
_KEPT_MS = 24 * 3600 * 1000
"""An account that nobody calls is forgotten after a day."""
_COUNTS_KEPT_MS = 30 * _KEPT_MS
"""How often it answered what is remembered for longer: a count that begins anew is a gap in somebody's curve."""

_LONGEST_CALL = 3600.0
_LONGEST_OPENING = limits.LONGEST_OPEN * (1 + limits.JITTER)
_LONGEST_WAIT = 3660.0
"""The hour that anybody is waited for at most, and a margin."""
_AHEAD = {
    "open_until": _LONGEST_OPENING,
    "probe_until": _LONGEST_OPENING,
    "slowed_until": _LONGEST_WAIT,
    "quota_resets": _LONGEST_WAIT,
}
"""The moments that are kept, and how many seconds ahead each can be."""

_NOW = f"""
local function text(number) return string.format('%.6f', number) end
local now = tonumber(ARGV[#ARGV])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end
local s = {{}}
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do s[flat[i]] = flat[i + 1] end
local function num(name) return tonumber(s[name] or 0) end
-- A moment further ahead than any can be is of a clock that was set back since: it is over.
for name, longest in pairs({{{", ".join(f"{name} = {longest}" for name, longest in _AHEAD.items())}}}) do
  if num(name) > now + longest then s[name] = now - 1 end
end
local function set(...) redis.call('HSET', KEYS[1], ...) end
"""

_ENTER = f"""{_NOW}
local place, lasts, at_once = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local requests, window, reserve = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local probing = num('open_until') > 0
if probing then
  local till = math.max(num('open_until'), num('probe_until'))
  if now < till then return {{'open', text(till - now), s.fault or ''}} end
end
if now < num('slowed_until') then return {{'slowed', text(num('slowed_until') - now)}} end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now))
redis.call('ZREMRANGEBYSCORE', KEYS[2], text(now + {_LONGEST_CALL}), '+inf')
local running = redis.call('ZCARD', KEYS[2])
local size = num('quota_size')
if size > 0 then
  local left, resets = num('quota_left'), num('quota_resets')
  if resets > 0 and now >= resets then
    left, resets = size, 0
    set('quota_left', left, 'quota_resets', 0)
  end
  if left - running <= math.min(reserve, math.floor(size / 2)) then
    if resets > 0 then return {{'window', text(resets - now)}} end
    if running > 0 then return {{'window', '{limits.MARGIN}'}} end
  end
end
local length = window / {limits.PARTS}
local first, last, used, oldest = math.floor((now - window) / length), math.floor(now / length), 0, nil
for name, count in pairs(s) do
  local part = tonumber(string.match(name, '^part:(%d+)$'))
  if part and (part < first or part > last) then
    redis.call('HDEL', KEYS[1], name)
  elseif part then
    used = used + tonumber(count)
    if not oldest or part < oldest then oldest = part end
  end
end
if requests > 0 and used >= requests then
  return {{'window', text(math.max({limits.MARGIN}, (oldest + 1) * length + window - now))}}
end
if running >= at_once then return {{'running', '{limits.MARGIN}'}} end
local count = redis.call('HINCRBY', KEYS[1], string.format('part:%.0f', last), 1)
redis.call('ZADD', KEYS[2], text(now + lasts), place)
if probing then set('probe', place, 'probe_until', text(now + lasts)) end
if count == 1 then redis.call('PEXPIRE', KEYS[1], {_KEPT_MS}) end
if running == 0 then redis.call('PEXPIRE', KEYS[2], {_KEPT_MS}) end
return {{'go'}}
"""

_LEAVE = f"""{_NOW}
local place, verdict, wait, fault, jitter = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local size, left, resets_in, window = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
redis.call('ZREM', KEYS[2], place)
if ARGV[11] ~= '' then
  redis.call('HINCRBY', KEYS[3], ARGV[11] .. ' ' .. ARGV[10], 1)
  redis.call('PEXPIRE', KEYS[3], {_COUNTS_KEPT_MS})
end
if size then
  local resets = now + resets_in
  if num('quota_size') > 0 and resets <= num('quota_resets') + window / 2 then left = math.min(left, num('quota_left')) end
  set('quota_size', size, 'quota_left', left, 'quota_resets', text(resets))
elseif verdict == 'failed' and num('quota_size') > 0 then
  set('quota_left', num('quota_left') - 1)
end
local is_open, is_probe = num('open_until') > 0, s.probe == place
local function grown(first, longest, doublings) return math.min(first * 2 ^ doublings, longest) * (1 + {limits.JITTER} * jitter) end
local function slow(seconds)
  if now + seconds > num('slowed_until') then set('slowed_until', text(now + seconds)) end
end
local function close()
  if not is_open then return {{}} end
  set('failures', 0, 'openings', 0, 'opened_at', 0, 'open_until', 0, 'probe', '', 'probe_until', 0)
  return {{'closed', text(math.max(0, now - num('opened_at')))}}
end
local changed = {{}}
if verdict == 'good' then
  if num('unexplained') > 0 or num('failures') > 0 then set('unexplained', 0, 'failures', 0) end
  changed = close()
elseif verdict == 'refused' then
  if not wait then
    wait = grown({limits.FIRST_BACK_OFF}, {limits.LONGEST_BACK_OFF}, num('unexplained'))
    set('unexplained', math.min(num('unexplained') + 1, {limits.MOST_DOUBLINGS}))
  end
  slow(wait)
  changed = {{'slowed', text(wait)}}
  if is_probe and is_open then changed = close() end
elseif verdict == 'failed' then
  local failures = num('failures') + 1
  set('fault', fault, 'fault_at', text(now), 'failures', failures)
  if wait then slow(wait) end
  if (is_open and is_probe) or (not is_open and failures >= {limits.FAILURES_TO_OPEN}) then
    local openings = 0
    if is_open then openings = num('openings') else set('opened_at', text(now)) end
    local span = grown({limits.FIRST_OPEN}, {limits.LONGEST_OPEN}, openings)
    set('openings', math.min(openings + 1, {limits.MOST_DOUBLINGS}),
        'open_until', text(now + span), 'probe', '', 'probe_until', 0)
    changed = {{'opened', text(span)}}
  end
elseif is_probe then
  set('probe', '', 'probe_until', 0)
end
if #flat == 0 then redis.call('PEXPIRE', KEYS[1], {_KEPT_MS}) end
return changed
"""


class RedisLimiters:
    """Implements `app.ports.limiters.Limiters`."""

    def __init__(
        self,
        client: "redis.Redis",
        *,
        prefix: str = _PREFIX,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        now: Callable[[], float] | None = None,
    ) -> None:
        """`now` takes the place of the server's clock, for tests."""
        self.client = client
        self.jitter = jitter
        self.enter = client.register_script(_ENTER)
        self.leave = client.register_script(_LEAVE)
        self._now = now
        self._prefix = prefix
        self._clock = clock
        self._book = Book()
        self._alone = LocalLimiters(clock=clock, jitter=jitter)
        self._lock = threading.Lock()
        self._away_until = -1.0

    def of(self, *, name: str, counted_by: Sequence[str], ceilings: Ceilings) -> Limiter:
        """The limiter of this account."""
        key = self._book.enter(name=name, counted_by=counted_by, ceilings=ceilings)
        alone = self._alone.of(name=name, counted_by=counted_by, ceilings=share_of(ceilings))
        return _RedisLimiter(self, name=name, keys=self._keys(key), ceilings=ceilings, alone=alone)

    def usage(self) -> tuple[Usage, ...]:
        """How each account stands for all processes, or in this one where the server is away or refuses the scripts."""
        try:
            self.try_scripts()
            now = self._server_time()
            return tuple(self._usage(each, now) for each in self._book.entries())
        except redis.RedisError as error:
            self.is_away(error)
            return self._alone.usage()

    def _usage(self, entry: Entry, now: float) -> Usage:
        stored, running, answers = self._read(entry.key)
        found = _state(stored, running, now=now).usage(
            names=entry.names, ceilings=entry.ceilings, now=now, shared=True
        )
        counts = ((field.partition(" "), count) for field, count in answers.items())
        return replace(found, answers={(name, status): int(count) for (status, _, name), count in counts})

    def forget(self, name: str) -> bool:
        """Forget what is known of the accounts of this name. False where the server is away, and each process has its own."""
        try:
            self.try_scripts()
            for each in self._book.entries():
                if name in each.names:
                    state, *_others = self._keys(each.key)
                    self.client.delete(state)
        except redis.RedisError as error:
            self.is_away(error)
            return False
        return True

    def try_scripts(self) -> None:
        """Raises `redis.RedisError` where the server is away, or a user or a replica may read but not do what calls need."""
        keys, place = self._keys(_OWN_KEY), uuid.uuid4().hex
        self.enter(keys=keys, args=[place, 1.0, 1000, 0, 60.0, 0, self.now])
        self.leave(keys=keys, args=[place, Verdict.NONE.value, "", "", 0.0, *[""] * 6, self.now])

    @property
    def now(self) -> str:
        """The moment that the scripts are told; empty where they ask the server."""
        return "" if self._now is None else repr(self._now())

    @property
    def may_be_asked(self) -> bool:
        """Whether the server was not found away some seconds ago."""
        return self._clock() >= self._away_until

    def is_away(self, error: redis.RedisError) -> None:
        """The server gave no answer: each process counts for itself, for some seconds at least."""
        with self._lock:
            if self.may_be_asked:
                log.warning("limits_not_shared", failure=type(error).__name__, seconds=_AWAY)
            self._away_until = self._clock() + _AWAY

    def _keys(self, key: str) -> tuple[str, str, str]:
        # The braces keep them on one node of a cluster.
        own = f"{self._prefix}:{{{key}}}"
        return own, f"{own}:running", f"{own}:answers"

    def _read(self, key: str) -> tuple[Mapping[str, str], Mapping[str, float], Mapping[str, str]]:
        state, running, answers = self._keys(key)
        with self.client.pipeline(transaction=False) as pipe:
            pipe.hgetall(state)
            pipe.zrange(running, 0, -1, withscores=True)
            pipe.hgetall(answers)
            stored, leases, counts = pipe.execute()
        return stored, dict(leases), counts

    def _server_time(self) -> float:
        if self._now is not None:
            return self._now()
        seconds, microseconds = self.client.time()
        return float(seconds) + microseconds / 1e6


class _RedisLimiter:
    """One account's."""

    def __init__(
        self,
        all_of_them: RedisLimiters,
        *,
        name: str,
        keys: tuple[str, str, str],
        ceilings: Ceilings,
        alone: LocalLimiter,
    ) -> None:
        self._all = all_of_them
        self._name = name
        self._keys = keys
        self._ceilings = ceilings
        self._alone = alone

    def enter(self, *, lasts: float) -> str | Wait:
        """A place for one call, else why there is none."""
        if not self._all.may_be_asked:
            return self._alone.enter(lasts=lasts)
        place, own = uuid.uuid4().hex, self._ceilings
        try:
            found = self._all.enter(
                keys=self._keys,
                args=[place, lasts, own.at_once, own.requests, own.window, own.reserve, self._all.now],
            )
        except redis.RedisError as error:
            self._all.is_away(error)
            return self._alone.enter(lasts=lasts)
        if found[0] == "go":
            return place
        wait = Wait(Why(found[0]), float(found[1]), *found[2:])
        if wait.why is Why.SLOWED:
            self._alone.slow(wait.seconds)
        return wait

    def leave(self, place: str, report: Report) -> Changed | None:
        """The call is over."""
        # Learned by this process as well, for the time when the server is away.
        changed = self._alone.leave(place, report)
        if not self._all.may_be_asked:
            return changed
        told = report.quota
        quota: Sequence[Any] = (
            ("",) * 4 if told is None else (told.size, told.left, told.resets_in, told.window)
        )
        wait = "" if report.wait is None else report.wait
        arguments = [place, report.verdict.value, wait, report.fault, self._all.jitter(), *quota]
        try:
            found = self._all.leave(
                keys=self._keys, args=[*arguments, self._name, report.status, self._all.now]
            )
        except redis.RedisError as error:
            self._all.is_away(error)
            return changed
        return Changed(Change(found[0]), float(found[1])) if found else None


def share_of(ceilings: Ceilings) -> Ceilings:
    """What one process takes of an account where it cannot know what the others do."""
    return replace(
        ceilings,
        at_once=max(1, ceilings.at_once // _SHARE),
        requests=max(1, ceilings.requests // _SHARE) if ceilings.requests else 0,
    )


def _state(stored: Mapping[str, str], running: Mapping[str, float], *, now: float) -> State:
    def number(name: str) -> float:
        found = float(stored.get(name, 0))
        return now - 1 if name in _AHEAD and found > now + _AHEAD[name] else found

    return State(
        counts={
            int(name.removeprefix("part:")): int(count)
            for name, count in stored.items()
            if name.startswith("part:")
        },
        running={place: until for place, until in running.items() if until <= now + _LONGEST_CALL},
        slowed_until=number("slowed_until"),
        quota_size=int(number("quota_size")),
        quota_left=int(number("quota_left")),
        quota_resets=number("quota_resets"),
        failures=int(number("failures")),
        opened_at=number("opened_at"),
        open_until=number("open_until"),
        probe_until=number("probe_until"),
        fault=stored.get("fault", ""),
        fault_at=number("fault_at"),
    )
