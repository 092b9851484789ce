// The TypeScript SDK, line 2: a package for clients, which can speak 2026-07-28.

import {
  Client,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';

import { serve } from './lines.mjs';
import { connected } from './typescript_sdk.mjs';

const options = { versionNegotiation: { mode: 'auto' } };

await serve((where) => connected(where, {
  name: 'TypeScript SDK 2',
  client: () => new Client({ name: 'typescript-sdk-2', version: '1' }, options),
  transport: (url, given) => new StreamableHTTPClientTransport(url, given),
  isUnauthorized: (error) => error instanceof UnauthorizedError,
  finish: (transport, params) => transport.finishAuth(params),
}));
