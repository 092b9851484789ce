// The tool of both TypeScript rivals, with a map. It is copied to where its packages are.

import { createHash, randomBytes } from "node:crypto";
import { z } from "zod";

const TTL = 43200_000;
const logins = new Map();

export const input = { email: z.string(), password: z.string() };

export const output = {
  email: z.string(),
  password_length: z.number().int(),
  cache_status: z.enum(["new_session_created", "session_from_cache"]),
  session_id_preview: z.string(),
  expires_at: z.string(),
};

export function checkAuth({ email, password }) {
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
