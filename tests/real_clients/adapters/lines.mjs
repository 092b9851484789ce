// The driver protocol as an adapter in JavaScript speaks it; lines.py describes it.

import { createInterface } from 'node:readline';

/** Return the answer to a call; what the client does not show is null. */
export function answer(text, structured, isError) {
  return { text, structured: structured ?? null, is_error: isError ?? null };
}

/** Return the text of a result's blocks. */
export function textOf(content) {
  return content.filter((block) => block.type === 'text').map((block) => block.text).join('');
}

/** Run an adapter until its input ends: `connect` makes a client with check, list, call, close. */
export async function serve(connect) {
  const say = (said) => process.stdout.write(`${JSON.stringify(said)}\n`);
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const browse = (url) => say({ open: String(url) });
  const client = await connect({ ...JSON.parse((await lines.next()).value), browse });
  say({ ready: true });
  const running = [];
  for await (const line of { [Symbol.asyncIterator]: () => lines }) {
    running.push(respond(client, JSON.parse(line)).then(say));
  }
  await Promise.all(running);
  await client.close();
}

async function respond(client, { id, do: wanted, tool, arguments: args }) {
  try {
    switch (wanted) {
      case 'check':
        await client.check();
        return { id };
      case 'list':
        return { id, tools: await client.list() };
      case 'call':
        return { id, ...(await client.call(tool, args)) };
      default:
        throw new Error(`no such request: ${wanted}`);
    }
  } catch (error) {
    console.error(error);
    return { id, failed: String(error) };
  }
}
