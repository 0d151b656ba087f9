"""The tools of any MCP server (https://modelcontextprotocol.io), by the official SDK, which is imported only where a
server is asked."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fireact.errors import ConfigError, ToolError, quoted
from fireact.ranges import NoEffect, Seconds, Text, Texts
from fireact.tools.mcp.content import text_of
from fireact.tools.mcp.notes import Notes
from fireact.tools.mcp.offered import Offered, listing_of, offered
from fireact.trajectories.tool_schema import ToolSchema

if TYPE_CHECKING:
    from fireact.tools.mcp.links import Link

_SECRET = re.compile(r"^--?(?:[\w-]*[-_])?(?:api[-_]?key|token|password|passwd|secret)(?:=.|$)", re.IGNORECASE)
_SHORTEST = 8  # characters of a variable's value that is taken for a secret


class McpServer:
    """``ToolServer`` over a ``command``, which is started, or the ``url`` of a server that runs (streamable HTTP).

    A command is given no more of the environment than HOME, LOGNAME, PATH, SHELL, TERM and USER, and what ``env``
    names; the token in the variable ``token_env`` goes to ``url`` with every request. The server is started at the
    first call and held until the run ends. One that has died, or of which a call failed and that no longer says what
    it offers, is started anew for the next call; calls that are under way on the old one are waited for.

    Args:
        only: the tools to offer, by the server's own names; all where it is None.
        prefix: stands before the name of each, so that two servers' tools can be told apart.
        idempotent: whether the same call has the same answer, whoever asks and however often.
        start_timeout_s: seconds until the server has said what it offers.

    Raises:
        ConfigError: there is not one of ``command`` and ``url``, ``url`` is no HTTP address, or ``command`` holds a
            secret, which the run's files would keep.
    """

    def __init__(
        self,
        command: Texts | None = None,
        url: Text | None = None,
        only: Texts | None = None,
        env: Sequence[Text] = (),
        token_env: Text | None = None,
        prefix: str = "",
        idempotent: bool = False,
        start_timeout_s: NoEffect[Seconds] = 30.0,
    ) -> None:
        if (command is None) == (url is None):
            raise ConfigError(
                "an MCP server needs a command or a url, and not both; give one, such as "
                "tools.named.mcp.command=[python,server.py]"
            )
        if url is not None and not (url.startswith(("http://", "https://")) and urlsplit(url).hostname):
            raise ConfigError(
                f"the url of an MCP server, {quoted(url)}, is no address; it begins with http:// or https://"
            )
        if told := next(filter(_SECRET.search, command or ()), None):
            raise ConfigError(f"the command of an MCP server holds a secret behind {quoted(told.partition('=')[0])}, "
                              "which would stand in the run's files; put it into an environment variable that the "
                              "server reads, and name that in env")
        self.idempotent, self._only, self._prefix = idempotent, only, prefix
        self._command, self._url, self._env, self._token_env = command, url, tuple(env), token_env
        # Models read it and trajectories keep it, which the folders of a machine do not concern.
        names = [os.path.basename(word) if os.path.isabs(word) else word for word in command or ()]
        place = shlex.join(names) if command is not None else str(url).partition("?")[0]
        self._name = f"the MCP server {quoted(place)}"
        self._patience_s = start_timeout_s
        self._lock = asyncio.Lock()
        self._links: list[Link] = []  # the last of them is the one to ask; the others end with their calls

    async def listing(self) -> str:
        """See ``ToolServer``; starts the server for this alone."""
        link = self._connect()
        try:
            await link.started()
            return self._without_secrets(listing_of(link.entries.values()))
        except ToolError as error:
            raise ToolError(self._without_secrets(str(error))) from None
        finally:
            await link.close()

    def tools(self, listing: str) -> list[McpTool]:
        """See ``ToolServer``."""
        return [McpTool(self, tool) for tool in offered(listing, self._name, self._only, self._prefix)]

    async def call(self, tool: Offered, arguments: Mapping[str, Any]) -> str:
        """See ``Tool``."""
        try:
            return self._without_secrets(await self._answer(tool, arguments))
        except ToolError as error:
            raise ToolError(self._without_secrets(str(error))) from None

    async def aclose(self) -> None:
        """End the server, with all that it has started, or the connection to it."""
        links, self._links = self._links, []
        await asyncio.gather(*(link.close() for link in links))

    async def _answer(self, tool: Offered, arguments: Mapping[str, Any]) -> str:
        link = await self._link()
        if self._without_secrets(link.entries.get(tool.name, "")) != tool.entry:
            raise ToolError(f"{self._name} no longer offers {quoted(tool.name)} as it did when this run began; give a "
                            "run with its tools of today another run_dir")
        result = await link.call(tool.name, arguments)
        text = text_of(result.content, result.structured_content)
        if result.is_error:
            raise ToolError(text)
        return text

    async def _link(self) -> Link:
        """A connection to a server that has started."""
        async with self._lock:
            if not self._links or not await self._links[-1].is_fit():
                for old in self._links:
                    old.retire()
                self._links = [*(old for old in self._links if not old.is_over), self._connect()]
            link = self._links[-1]
        await link.started()
        return link

    def _connect(self) -> Link:
        try:
            from fireact.tools.mcp.links import Link
            from fireact.tools.mcp.stdio import environment, stdio
            from fireact.tools.mcp.streamable_http import streamable_http
        except ImportError:
            raise ConfigError("tools=mcp needs the extra: pip install fireact[mcp]") from None
        if self._command is None:
            headers = {"Authorization": f"Bearer {token}"} if (token := self._token()) else {}
            fix = "start it, or check its url and the token that it wants"

            def http(notes: Notes, _: Callable[[], None]) -> Any:
                return streamable_http(str(self._url), headers, notes)

            return Link(http, self._name, fix, self._patience_s)
        command, variables = self._command, environment(self._env, "tools.named: env of an MCP server")

        def streams(notes: Notes, ended: Callable[[], None]) -> Any:
            return stdio(command, variables, notes, ended)

        fix = "check its command, and run it by hand to see what is wrong"
        return Link(streams, self._name, fix, self._patience_s)

    def _token(self) -> str:
        if self._token_env is not None and not os.environ.get(self._token_env):
            raise ConfigError(
                f"{self._token_env} is not set; put the token of {self._name} into that environment variable"
            )
        return os.environ[self._token_env] if self._token_env is not None else ""

    def _without_secrets(self, text: str) -> str:
        for name in (*self._env, *([self._token_env] if self._token_env else [])):
            value = os.environ.get(name, "")
            text = text.replace(value, "***") if len(value) >= _SHORTEST else text
        return text


class McpTool:
    """``Tool`` of a server; all tools of one share it, and the first to be closed closes it."""

    def __init__(self, server: McpServer, tool: Offered) -> None:
        self._server, self._tool = server, tool
        self.schema: ToolSchema = tool.schema
        self.idempotent = server.idempotent

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """See ``Tool``."""
        return await self._server.call(self._tool, arguments)

    async def aclose(self) -> None:
        """See ``Tool``."""
        await self._server.aclose()
