// One node process of the TypeScript SDK with a map. It is copied to where its packages are.
//
//     node typescript.mjs sessions json       (the listening socket is descriptor 0)

import { createHash, randomBytes, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { z } from "zod";

const [state, answers] = process.argv.slice(2);
const TTL = 43200_000;
const logins = new Map();
const transports = new Map();

const result = {
  email: z.string(),
  password_length: z.number().int(),
  cache_status: z.enum(["new_session_created", "session_from_cache"]),
  session_id_preview: z.string(),
  expires_at: z.string(),
};

function checkAuth({ email, password }) {
  const key = createHash("sha256").update(`${email}\0${password}`).digest("base64");
  let found = logins.get(key);
  const cached = found !== undefined && found.expires > Date.now();
  if (!cached) {
    found = { id: randomBytes(13).toString("hex"), expires: Date.now() + TTL };
    logins.set(key, found);
  }
  const structuredContent = {
    email,
    password_length: password.length,
    cache_status: cached ? "session_from_cache" : "new_session_created",
    session_id_preview: `${found.id.slice(0, 4)}...${found.id.slice(-4)}`,
    expires_at: new Date(found.expires).toISOString(),
  };
  return { content: [{ type: "text", text: JSON.stringify(structuredContent) }], structuredContent };
}

async function connected(options) {
  const server = new McpServer({ name: "rival", version: "1" });
  server.registerTool(
    "check_auth",
    {
      description: "Check a login.",
      inputSchema: { email: z.string(), password: z.string() },
      outputSchema: result,
    },
    async (given) => checkAuth(given),
  );
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
server.listen({ fd: 0 });
process.on("SIGTERM", () => process.exit(0));
