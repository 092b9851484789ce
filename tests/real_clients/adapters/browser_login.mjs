// A browser login as an application on the TypeScript SDK writes it: the SDK throws once it has
// asked for a page to be opened; the browser comes back; the request is made again.

import { createServer } from 'node:http';

/** Listen for browsers; return where they are to be sent, and what waits for the next one. */
async function callback() {
  const came = [];
  const waiting = [];
  const server = createServer((request, response) => {
    response.end('Done');
    const query = new URL(request.url, 'http://localhost').searchParams;
    const next = waiting.shift();
    if (next) next(query);
    else came.push(query);
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    uri: `http://127.0.0.1:${server.address().port}/callback`,
    query: () => (came.length ? came.shift() : new Promise((resolve) => waiting.push(resolve))),
    close: () => server.close(),
  };
}

/**
 * Return an application's part: its OAuthClientProvider, what makes a request with a login when one
 * is asked for, and what ends it.
 */
export async function browserLogin(name, browse) {
  const { uri, query, close } = await callback();
  const kept = {};
  const provider = {
    redirectUrl: uri,
    clientMetadata: {
      client_name: name,
      redirect_uris: [uri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    },
    clientInformation: () => kept.client,
    saveClientInformation: (client) => { kept.client = client; },
    tokens: () => kept.tokens,
    saveTokens: (tokens) => { kept.tokens = tokens; },
    redirectToAuthorization: (url) => browse(url),
    saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
    codeVerifier: () => kept.verifier,
    discoveryState: () => kept.discovery,
    saveDiscoveryState: (state) => { kept.discovery = state; },
    invalidateCredentials: (scope) => {
      if (scope === 'all' || scope === 'tokens') delete kept.tokens;
      if (scope === 'all' || scope === 'client') delete kept.client;
    },
  };
  const retried = async (request, isUnauthorized, finish) => {
    try {
      return await request();
    } catch (error) {
      if (!isUnauthorized(error)) throw error;
      const params = await query();
      if (params.has('error')) throw new Error(`login refused: ${params.get('error')}`);
      await finish(params);
      return request();
    }
  };
  return { provider, retried, close };
}
