// The TypeScript SDK, line 1: one package. It checks results against the output schemas it has seen.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { serve } from './lines.mjs';
import { adapted } from './typescript_sdk.mjs';

await serve(async ({ url, headers }) => {
  const client = new Client({ name: 'typescript-sdk-1', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  await client.listTools();
  return adapted(client);
});
