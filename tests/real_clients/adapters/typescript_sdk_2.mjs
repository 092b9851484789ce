// The TypeScript SDK, line 2: a package for clients, which can speak 2026-07-28.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

import { serve } from './lines.mjs';
import { adapted } from './typescript_sdk.mjs';

await serve(async ({ url, headers }) => {
  const options = { versionNegotiation: { mode: 'auto' } };
  const client = new Client({ name: 'typescript-sdk-2', version: '1' }, options);
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  await client.listTools();
  return adapted(client);
});
