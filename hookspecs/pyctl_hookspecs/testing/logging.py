"""Conformance suite of kind ``logging``."""

from __future__ import annotations

import os

from pyctl_hookspecs.errors import InvalidArgumentError, UnsupportedError
from pyctl_hookspecs.intents import Intent
from pyctl_hookspecs.logging import LogEntry, LogQuery, LogRequest, LogRoute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


class LogDriverSuite:
    """Subclass it, set ``driver``, and give a fixture ``plugin`` that returns the plug-in's module or object.

    ``options`` are some the driver accepts. A driver that keeps nothing to read sets ``can_read`` to False;
    one that reads overrides ``write`` so that these lines, and nothing else, are in the log.
    """

    driver = ""
    options: tuple[tuple[str, str], ...] = ()
    can_read = True

    def write(self, request: LogRequest, route: LogRoute, lines: tuple[str, ...]) -> None:
        raise NotImplementedError("a driver that can read must say how its log is written")

    def request(self, state_dir: Path, options: tuple[tuple[str, str], ...] | None = None) -> LogRequest:
        chosen = self.options if options is None else options
        return LogRequest(container_id="c" * 64, state_dir=str(state_dir), driver=self.driver, options=chosen)

    def test_planning_says_something_and_changes_nothing(self, plugin: Any, tmp_path: Path) -> None:
        intent = plugin.plan_logging(request=self.request(tmp_path))
        assert isinstance(intent, Intent)
        assert intent.says
        assert os.listdir(tmp_path) == []

    def test_an_unknown_option_is_refused_by_its_name(self, plugin: Any, tmp_path: Path) -> None:
        try:
            plugin.plan_logging(request=self.request(tmp_path, (("no-such-option", "1"),)))
        except InvalidArgumentError as error:
            assert "no-such-option" in str(error)
        else:
            raise AssertionError("an unknown option was accepted")

    def test_the_route_is_the_same_each_time(self, plugin: Any, tmp_path: Path) -> None:
        request = self.request(tmp_path)
        route = plugin.route_logs(request=request)
        assert isinstance(route, LogRoute)
        assert route == plugin.route_logs(request=request)
        assert os.path.isabs(route.log_path) or not route.log_path
        assert route.max_files >= 1
        assert route.max_size_bytes >= 0

    def test_reading_gives_entries_in_order_or_is_refused(self, plugin: Any, tmp_path: Path) -> None:
        request = self.request(tmp_path)
        if not self.can_read:
            try:
                list(self._read(plugin, request, LogQuery()))
            except UnsupportedError:
                return
            raise AssertionError("reading was neither refused nor declared")
        self.write(request, plugin.route_logs(request=request), ("one\n", "two\n", "three\n"))
        entries = list(self._read(plugin, request, LogQuery()))
        assert all(isinstance(entry, LogEntry) for entry in entries)
        assert [entry.log for entry in entries] == ["one\n", "two\n", "three\n"]
        assert [entry.time for entry in entries] == sorted(entry.time for entry in entries)

    def test_tail_gives_the_last_entries(self, plugin: Any, tmp_path: Path) -> None:
        if not self.can_read:
            return
        request = self.request(tmp_path)
        self.write(request, plugin.route_logs(request=request), ("one\n", "two\n", "three\n"))
        assert [entry.log for entry in self._read(plugin, request, LogQuery(tail=2))] == ["two\n", "three\n"]
        assert [entry.log for entry in self._read(plugin, request, LogQuery(tail=0))] == []
        assert len(list(self._read(plugin, request, LogQuery(tail=9)))) == 3

    def _read(self, plugin: Any, request: LogRequest, query: LogQuery) -> Any:
        """Calls as pluggy does: an implementation may leave out arguments it has no use for."""
        code = plugin.read_logs.__code__
        given = {"request": request, "query": query, "host": None}
        return plugin.read_logs(**{name: given[name] for name in code.co_varnames[: code.co_argcount] if name in given})
