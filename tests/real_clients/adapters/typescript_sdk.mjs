// What both lines of the TypeScript SDK have in common: the class `Client`.

import { answer, textOf } from './lines.mjs';

/** Return a connected client of the SDK as lines.mjs wants it. */
export function adapted(client) {
  return {
    check: () => client.listTools(),
    list: async () => {
      const { tools } = await client.listTools();
      return tools.map(({ name, description, inputSchema }) => ({
        name,
        description,
        schema: inputSchema,
      }));
    },
    call: async (name, args) => {
      const result = await client.callTool({ name, arguments: args });
      return answer(textOf(result.content), result.structuredContent, result.isError ?? false);
    },
    close: () => client.close(),
  };
}
