// One node process of TypeScript SDK 1. It is copied to where its packages are.
//
//     node typescript1.mjs sessions json       (the listening socket is descriptor 0)

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { checkAuth, input, output } from "./check_auth.mjs";

const [state, answers] = process.argv.slice(2);
const transports = new Map();

async function connected(options) {
  const server = new McpServer({ name: "rival", version: "1" });
  const described = { description: "Check a login.", inputSchema: input, outputSchema: output };
  server.registerTool("check_auth", described, async (given) => checkAuth(given));
  const transport = new StreamableHTTPServerTransport({
    enableJsonResponse: answers === "json",
    ...options,
  });
  await server.connect(transport);
  return transport;
}

async function transportOf(request) {
  if (state === "stateless") return connected({ sessionIdGenerator: undefined });
  const known = transports.get(request.headers["mcp-session-id"]);
  if (known !== undefined) return known;
  const made = await connected({
    sessionIdGenerator: () => randomUUID(),
    onsessioninitialized: (id) => transports.set(id, made),
  });
  return made;
}

const server = createServer(async (request, response) => {
  const transport = await transportOf(request);
  if (state === "stateless") response.on("close", () => transport.close());
  await transport.handleRequest(request, response);
});
server.keepAliveTimeout = 30_000;
server.listen({ fd: 0 }, () => console.log("ready"));
process.on("SIGTERM", () => process.exit(0));
