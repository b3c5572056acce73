import type { Bench } from './bench.ts';

export const bench: Bench = () => Promise.reject(new Error('not yet'));
