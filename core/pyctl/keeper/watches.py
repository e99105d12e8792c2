"""Exits noticed and dealt with: a pidfd per container, a pyctl process for each exit, restarts after their wait.

Every watch is a file, so that a keeper that was killed goes on where it stood. The process that deals with an
exit (``pyctl internal exited ID``) decides everything; this module only starts it, and again if it fails.
"""

from __future__ import annotations

import json
import os
import select
import stat
import time

from .wire import write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .children import Children, Job
    from .loop import Loop, Timer

_RETRIES_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Watches:
    """``exited(key)`` is called at each exit, before the process that deals with it starts."""

    def __init__(
        self,
        loop: Loop,
        children: Children,
        directory: str,
        data_root: str,
        *,
        exited: Callable[[str], None],
        note: Callable[[str], None],
    ) -> None:
        self._loop, self._children, self._exited, self._note = loop, children, exited, note
        self._directory = directory
        self._data_root = data_root
        self._watches: dict[str, _Watch] = {}
        os.makedirs(directory, mode=0o700, exist_ok=True)

    def load(self) -> None:
        """Go on with the watches of the keeper before this one."""
        for name in os.listdir(self._directory):
            if not name.endswith(".json"):
                continue
            try:
                with open(f"{self._directory}/{name}", "rb") as file:
                    payload = json.loads(file.read())
                self._start(name.removesuffix(".json"), payload)
            except (OSError, ValueError, KeyError, TypeError) as error:
                self._note(f"watch {name} is damaged and dropped: {error!r}")
                os.unlink(f"{self._directory}/{name}")

    def add(self, key: str, payload: Mapping[str, object]) -> None:
        """Watch a container's init. An exit that has happened already is dealt with at once.

        Raises:
            ValueError, KeyError, TypeError: the payload is malformed.
        """
        record = dict(payload)
        pid = record["pid"] = int(str(record["pid"]))
        if pid <= 0 or not isinstance(record["python"], str):
            raise ValueError("pid and python are needed")
        running = self._watches.get(key)
        if running and running.pid == pid and not record.get("restart_at"):
            return
        record.setdefault("birth", birth(pid))
        record["boot"] = _boot()
        self.save(key, record)
        self._start(key, record)

    def save(self, key: str, record: Mapping[str, object]) -> None:
        write_file(f"{self._directory}/{key}.json", json.dumps(record).encode())

    def _start(self, key: str, record: dict[str, object]) -> None:
        old = self._watches.pop(key, None)
        if old:
            old.close()
        self._watches[key] = watch = _Watch(self, key, record)
        watch.begin()

    def rest(self, key: str) -> Callable[[], None]:
        """Leave a container, whatever was planned for it, to somebody else, until the call that is returned.

        It goes on then, but for one that was forgotten or watched anew since, or that yet another still deals with.
        """
        watch = self._watches.get(key)
        if watch is None:
            return lambda: None
        watch.rest()
        return watch.go_on

    def remove(self, key: str) -> None:
        """Forget a container, whatever was planned for it; not watched is fine."""
        watch = self._watches.pop(key, None)
        if watch:
            watch.close()
        try:
            os.unlink(f"{self._directory}/{key}.json")
        except FileNotFoundError:
            pass

    def job(self, key: str) -> Job | None:
        """The process that deals with this container at the moment."""
        watch = self._watches.get(key)
        return watch.job if watch and watch.job and not watch.job.is_over else None

    def ending(self, key: str) -> Job | None:
        """As ``job``, for one whose process has ended in this moment too."""
        watch = self._watches.get(key)
        if watch:
            watch.look()
        return self.job(key)

    def status(self) -> dict[str, str]:
        return {key: watch.state for key, watch in self._watches.items()}

    def is_running(self, key: str) -> bool:
        """Is the process of this container watched, and has it not ended?"""
        watch = self._watches.get(key)
        return watch is not None and watch.state == "running"

    def pid(self, key: str) -> int:
        """The process of this container if ``is_running``, else 0."""
        return self._watches[key].pid if self.is_running(key) else 0

    def running(self) -> bool:
        """Is there a container whose process has not ended?"""
        return any(watch.state == "running" for watch in self._watches.values())

    def repair(self, done: Callable[[], None]) -> None:
        """Have the networks of every namespace repaired (``pyctl internal repair``), as whoever watches there would."""
        records = {str(watch.record["namespace"]): watch.record for watch in self._watches.values()}
        left = len(records)

        def ended(code: int, output: bytes) -> None:
            nonlocal left
            text = output.decode(errors="replace").strip()
            if text or code:
                self._note(f"repaired networks (exit code {code}): " + "; ".join(text.splitlines()))
            left -= 1
            if not left:
                done()

        for record in records.values():
            self._spawn(record, ["repair"], ended)
        if not records:
            self._loop.later(0.0, done)

    def launch(self, record: Mapping[str, object], words: list[str], done: Callable[[int, bytes], None]) -> None:
        """Have ``pyctl internal`` deal with a container nobody asked us to watch; ``record`` is as in a watch."""
        self._spawn(record, words, done)

    def __len__(self) -> int:
        return len(self._watches)

    # What a watch needs from here.

    def notice(self, key: str) -> None:
        self._exited(key)

    def is_current(self, watch: _Watch) -> bool:
        return self._watches.get(watch.key) is watch

    def spawn(self, watch: _Watch, verb: str, done: Callable[[int, bytes], None]) -> Job:
        return self._spawn(watch.record, [verb, str(watch.record["container"])], done)

    def _spawn(self, record: Mapping[str, object], words: list[str], done: Callable[[int, bytes], None]) -> Job:
        raw = record.get("args")
        args = [str(word) for word in raw] if isinstance(raw, list) else []
        if not args:
            args = ["--data-root", self._data_root]
            if record.get("address"):
                args += ["--address", str(record["address"])]
        raw_env = record.get("env")
        env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        if isinstance(raw_env, dict):
            env.update({str(name): str(value) for name, value in raw_env.items()})
        argv = [str(record["python"]), "-m", "pyctl", *args, "--namespace", str(record["namespace"])]
        return self._children.run([*argv, "internal", *words], env, done)

    def take_back(self, job: Job) -> None:
        self._children.drop(job)

    def note(self, message: str) -> None:
        self._note(message)

    def later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        return self._loop.later(delay_s, call)

    def wait_for(self, pidfd: int, call: Callable[[], None]) -> None:
        self._loop.watch(pidfd, call)

    def stop_waiting(self, pidfd: int) -> None:
        self._loop.forget(pidfd)


class _Watch:
    """One container: running -> exited -> (waiting -> restarting) -> gone; from each of them to resting, and anew."""

    def __init__(self, owner: Watches, key: str, record: dict[str, object]) -> None:
        self.owner, self.key, self.record = owner, key, record
        self.pid = int(str(record["pid"]))
        self.state = "running"
        self.job: Job | None = None
        self._pidfd = -1
        self._stdin = -1
        self._timer: Timer | None = None
        self._failures = 0
        self._deputies = 0  # how many deal with it in our place

    def rest(self) -> None:
        self._deputies += 1
        self.state = "resting"
        self._stop_waiting()
        self._drop_plans()

    def go_on(self) -> None:
        self._deputies -= 1
        if not self._deputies and self.owner.is_current(self):
            self.state = "running"
            self.begin()

    def begin(self) -> None:
        at = self.record.get("restart_at")
        if isinstance(at, float | int):
            self._wait(float(at) - time.time())
            return
        if self.record.get("boot") == _boot():
            try:
                self._pidfd = os.pidfd_open(self.pid)
            except ProcessLookupError:
                pass
            else:
                if birth(self.pid) == self.record.get("birth"):
                    self._hold_stdin()
                    self.owner.wait_for(self._pidfd, self.look)
                    return
        self._timer = self.owner.later(0.0, self._handle_exit)

    def _hold_stdin(self) -> None:
        """Keep a write end open, so that one who attaches and goes does not end the container's standard input."""
        path = self.record.get("stdin")
        if not isinstance(path, str) or not path or self._stdin >= 0:
            return
        try:
            if stat.S_ISFIFO(os.stat(path).st_mode):
                # For both ways, because then opening never waits for the other side.
                self._stdin = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self.owner.note(f"{self.key}: cannot hold {path}: {error}")

    def look(self) -> None:
        """Has it ended?"""
        if self._pidfd >= 0 and select_readable(self._pidfd):
            self._handle_exit()

    def _handle_exit(self) -> None:
        self._let_go()
        self.state = "exited"
        self.owner.notice(self.key)
        self._run("exited", self._after_exit)

    def _run(self, verb: str, after: Callable[[bytes], None]) -> None:
        def done(code: int, output: bytes) -> None:
            if not self.owner.is_current(self) or self._deputies:
                return  # unwatched or replaced in the meantime, or somebody else's: its word no longer counts
            if code == 0:
                self._failures = 0
                after(output)
            elif self._failures < len(_RETRIES_S):
                self._timer = self.owner.later(_RETRIES_S[self._failures], lambda: self._run(verb, after))
                self._failures += 1
            else:
                text = output.decode(errors="replace").strip()
                self.owner.note(f"{self.key}: `internal {verb}` failed {self._failures + 1} times, exit code {code}: {text}")
                self.owner.remove(self.key)

        self.job = self.owner.spawn(self, verb, done)

    def _after_exit(self, output: bytes) -> None:
        try:
            answer = json.loads(output.strip().rpartition(b"\n")[2] or b"{}")
            wait_s = answer.get("restart_in_s")
            if wait_s is None:
                self.owner.remove(self.key)
                return
            wait_s = float(wait_s)
        except (ValueError, AttributeError, TypeError) as error:
            self.owner.note(f"{self.key}: `internal exited` answered {output[-200:]!r}: {error}")
            self.owner.remove(self.key)
            return
        self.record["restart_at"] = time.time() + wait_s
        try:
            self.owner.save(self.key, self.record)
        except OSError as error:  # a full disk: the restart is still remembered here
            self.owner.note(f"{self.key}: {error}")
        self._wait(wait_s)

    def _wait(self, delay_s: float) -> None:
        self.state = "waiting"
        self._timer = self.owner.later(max(0.0, delay_s), self._restart)

    def _restart(self) -> None:
        self.state = "restarting"
        # The new process sends a watch of its own, which replaces this one.
        self._run("restart", lambda _: self.owner.remove(self.key))

    def _let_go(self) -> None:
        self._stop_waiting()
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1

    def _stop_waiting(self) -> None:
        if self._pidfd >= 0:
            self.owner.stop_waiting(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _drop_plans(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self.job:
            self.owner.take_back(self.job)

    def close(self) -> None:
        self._let_go()
        self._drop_plans()


def select_readable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def birth(pid: int) -> int:
    """When a process began, in clock ticks since boot; 0 when it is gone or a zombie.

    With the boot's ID it tells a process from a later one with the same number.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields[19])


def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()
