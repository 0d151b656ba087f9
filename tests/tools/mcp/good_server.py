"""A well-behaved MCP server, by the SDK: ``good_server.py`` over stdio, ``good_server.py PORT`` over HTTP."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import BlobResourceContents, EmbeddedResource, ImageContent, TextContent, TextResourceContents
from pydantic import Field

server = MCPServer("good")


@server.tool()
def add(a: int, b: int) -> str:
    """Adds two integers."""
    return str(a + b)


@server.tool(name="look-up")
def look_up(title: Annotated[str, Field(description="Of a page.")]) -> str:
    """Looks a page up."""
    return f"{title} is a\x1b[31m page.\r\nIt has two lines."


@server.tool(structured_output=False)
def parts() -> list[TextContent | ImageContent | EmbeddedResource]:
    """Answers in several parts."""
    blob = BlobResourceContents(uri="file:///b.bin", mime_type="application/zip", blob="AAAA")
    text = TextResourceContents(uri="file:///t.txt", text="of a resource")
    return [
        TextContent(type="text", text="first"),
        ImageContent(type="image", data="AAAA", mime_type="image/png"),
        EmbeddedResource(type="resource", resource=text),
        EmbeddedResource(type="resource", resource=blob),
    ]


@server.tool()
def fail(why: Literal["error", "exit", "sleep"]) -> str:
    """Fails."""
    if why == "exit":
        print("something\nlast words", file=sys.stderr, flush=True)
        os._exit(3)
    if why == "sleep":
        time.sleep(60)
    raise ToolError("no such thing")


@server.tool(structured_output=False)
def environment() -> str:
    """The names of its variables, and two values."""
    return f"{' '.join(sorted(os.environ))} {os.environ.get('FOR_IT')} {os.environ.get('OPENAI_API_KEY')}"


@server.tool(structured_output=False)
def started() -> str:
    """Its process."""
    return str(os.getpid())


if __name__ == "__main__":
    if marks := os.environ.get("MARKS"):
        with Path(marks).open("a") as file:
            file.write(f"{os.getpid()}\n")
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run("stdio")
