import { request } from 'node:http';

/** Text of an answer of the local API, cut after so many bytes. Rejects when nobody answers, or with a refusal. */
export type AskAgent = (path: string) => Promise<string>;

const ANSWER_MS = 10_000;

export function askAgent(socketPath: string, mostBytes: number): AskAgent {
  return (path) =>
    new Promise((resolve, reject) => {
      const asked = request({ socketPath, path, agent: false, timeout: ANSWER_MS }, (response) => {
        const parts: Buffer[] = [];
        let bytes = 0;
        response.on('data', (part: Buffer) => {
          bytes += part.length;
          if (bytes <= mostBytes) parts.push(part);
        });
        response.once('error', reject);
        response.once('end', () => {
          const text = Buffer.concat(parts).toString('utf8');
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`the agent answered ${response.statusCode}`));
        });
      });
      asked.once('timeout', () => asked.destroy(new Error('the agent does not answer')));
      asked.once('error', reject);
      asked.end();
    });
}
