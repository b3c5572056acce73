import { expect, test } from 'vitest';
import { until } from '../../test/support/until.ts';
import { BuildQueue } from './build-queue.ts';

/** Builds that end when they are told to. */
class Builds {
  readonly begun: string[] = [];
  readonly stopped: string[] = [];
  readonly errors: unknown[] = [];
  readonly #ends = new Map<string, () => void>();

  build(key: string) {
    return {
      key,
      run: (signal: AbortSignal) =>
        new Promise<void>((resolve, reject) => {
          this.begun.push(key);
          this.#ends.set(key, resolve);
          signal.addEventListener('abort', () => {
            this.stopped.push(key);
            reject(new Error('aborted'));
          });
        }),
    };
  }

  async end(key: string) {
    await until(() => this.#ends.has(key));
    this.#ends.get(key)?.();
    this.#ends.delete(key);
  }
}

const queueOf = (builds: Builds, most = 2) => new BuildQueue(most, (error) => builds.errors.push(error));

test('runs one at a time, and each key once', async () => {
  const builds = new Builds();
  const queue = queueOf(builds);
  for (const key of ['a', 'a', 'b', 'b', 'a']) expect(queue.want(builds.build(key))).toBe(true);
  expect(builds.begun).toEqual(['a']);
  await builds.end('a');
  await builds.end('b');
  expect(builds.begun).toEqual(['a', 'b']);
});

test('takes no more than it may', () => {
  const builds = new Builds();
  const queue = queueOf(builds);
  expect(['a', 'b', 'c', 'd'].map((key) => queue.want(builds.build(key)))).toEqual([true, true, true, false]);
});

test('what somebody waits for takes the turn of what nobody does, which begins again after it', async () => {
  const builds = new Builds();
  const queue = queueOf(builds);
  queue.spare(builds.build('better'));
  queue.want(builds.build('wanted'));
  expect(builds.stopped).toEqual(['better']);
  await builds.end('wanted');
  await until(() => builds.begun.length === 3);
  expect(builds.begun).toEqual(['better', 'wanted', 'better']);
  expect(builds.errors).toEqual([]);
});

test('goes on after a build that failed, and tells of it', async () => {
  const builds = new Builds();
  const queue = queueOf(builds);
  queue.want({ key: 'bad', run: () => Promise.reject(new Error('no')) });
  queue.want(builds.build('good'));
  await builds.end('good');
  expect(builds.errors).toEqual([new Error('no')]);
});

test('takes nothing once it is closed', async () => {
  const builds = new Builds();
  const queue = queueOf(builds);
  queue.want(builds.build('a'));
  queue.want(builds.build('b'));
  await queue.close();
  expect(queue.want(builds.build('c'))).toBe(false);
  expect(builds.begun).toEqual(['a']);
});
