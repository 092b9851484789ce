// One node process of TypeScript SDK 2. It is copied to where its packages are.
//
//     node typescript2.mjs handler auto       (the listening socket is descriptor 0)
//
// "handler" is the SDK's entry, which answers every revision without sessions; "stateless" and
// "sessions" are its transport for revisions with a handshake.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { NodeStreamableHTTPServerTransport, toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import { z } from "zod";
import { checkAuth, input, output } from "./check_auth.mjs";

const [state, answers] = process.argv.slice(2);
const inputSchema = z.object(input);
const outputSchema = z.object(output);
const transports = new Map();

function made() {
  const server = new McpServer({ name: "rival", version: "1" });
  const described = { description: "Check a login.", inputSchema, outputSchema };
  server.registerTool("check_auth", described, async (given) => checkAuth(given));
  return server;
}

async function connected(options) {
  const transport = new NodeStreamableHTTPServerTransport({
    enableJsonResponse: answers === "json",
    ...options,
  });
  await made().connect(transport);
  return transport;
}

async function stateless(request, response) {
  const transport = await connected({ sessionIdGenerator: undefined });
  response.on("close", () => transport.close());
  await transport.handleRequest(request, response);
}

async function sessions(request, response) {
  let transport = transports.get(request.headers["mcp-session-id"]);
  transport ??= await connected({
    sessionIdGenerator: () => randomUUID(),
    onsessioninitialized: (id) => transports.set(id, transport),
  });
  await transport.handleRequest(request, response);
}

const handler = () => toNodeHandler(createMcpHandler(made, { responseMode: answers }));
const server = createServer({ stateless, sessions }[state] ?? handler());
server.keepAliveTimeout = 30_000;
server.listen({ fd: 0 }, () => console.log("ready"));
process.on("SIGTERM", () => process.exit(0));
