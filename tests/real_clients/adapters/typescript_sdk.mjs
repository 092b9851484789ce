// What both lines of the TypeScript SDK have in common: the class `Client`.

import { browserLogin } from './browser_login.mjs';
import { answer, textOf } from './lines.mjs';

/** Return a connected client as lines.mjs wants it; `sdk` has what differs between the lines. */
export async function connected({ url, headers, login, browse }, sdk) {
  const owner = login ? await browserLogin(sdk.name, browse) : null;
  let client;
  let transport;
  const retried = (request) => (owner
    ? owner.retried(request, sdk.isUnauthorized, (params) => sdk.finish(transport, params))
    : request());
  // A transport that was refused is not connected again, but finishes the login.
  await retried(() => {
    client = sdk.client();
    transport = sdk.transport(new URL(url), {
      requestInit: { headers },
      ...(owner ? { authProvider: owner.provider } : {}),
    });
    return client.connect(transport);
  });
  await client.listTools();
  return {
    check: () => retried(() => client.listTools()),
    list: async () => {
      const { tools } = await retried(() => client.listTools());
      return tools.map(({ name, description, inputSchema }) => ({
        name,
        description,
        schema: inputSchema,
      }));
    },
    call: async (name, args) => {
      const result = await retried(() => client.callTool({ name, arguments: args }));
      return answer(textOf(result.content), result.structuredContent, result.isError ?? false);
    },
    close: async () => {
      await client.close();
      owner?.close();
    },
  };
}
