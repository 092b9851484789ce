// The TypeScript SDK, line 1: one package. It checks results against the output schemas it has seen.

import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { serve } from './lines.mjs';
import { connected } from './typescript_sdk.mjs';

await serve((where) => connected(where, {
  name: 'TypeScript SDK 1',
  client: () => new Client({ name: 'typescript-sdk-1', version: '1' }),
  transport: (url, options) => new StreamableHTTPClientTransport(url, options),
  isUnauthorized: (error) => error instanceof UnauthorizedError,
  finish: (transport, params) => transport.finishAuth(params.get('code')),
}));
