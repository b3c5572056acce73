import { expect, test } from 'vitest';
import { wasmModuleFault } from './wasm-module.ts';

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const text = (value: string): number[] => [value.length, ...Buffer.from(value)];
const section = (id: number, ...items: number[][]): number[] => {
  const body = [items.length, ...items.flat()];
  return [id, body.length, ...body];
};
/** Function 0 of the type that takes and gives nothing. */
const imported = (module: string, name: string) => section(2, [...text(module), ...text(name), 0, 0]);
const START = [...text('_start'), 0, 0];
const MEMORY = [...text('memory'), 2, 0];

/** A module with one function, imported or its own, and one memory. */
function module({
  from = '',
  held = [START, MEMORY],
}: {
  from?: string;
  held?: number[][];
} = {}): Uint8Array {
  const type = section(1, [0x60, 0, 0]);
  const own = from === '';
  return Uint8Array.from([
    ...HEADER,
    ...type,
    ...(own ? section(3, [0]) : imported(from, 'call')),
    ...section(5, [0, 1]),
    ...section(7, ...held),
    ...(own ? section(10, [2, 0, 0x0b]) : []),
  ]);
}

test('a program for WASI preview 1 is taken', () => {
  expect(wasmModuleFault(module())).toBeUndefined();
  expect(wasmModuleFault(module({ from: 'wasi_snapshot_preview1' }))).toBeUndefined();
});

test.each([
  ['nothing', Uint8Array.from([]), 'it begins with nothing, so it is no WebAssembly module; wanted 0061736d'],
  ['a program of the host', Buffer.from('\x7fELF'), 'begins with 7f454c46'],
  ['half a magic', Uint8Array.from(HEADER.slice(0, 3)), 'begins with 006173,'],
  ['text', Buffer.from(';; a module\n(module)'), 'which wat2wasm makes of WebAssembly text'],
  ['a header that ends early', Uint8Array.from(HEADER.slice(0, 6)), 'it has version 0100'],
  ['a version to come', Uint8Array.from([...HEADER.slice(0, 4), 2, 0, 0, 0]), 'it has version 02000000'],
  ['a component', Uint8Array.from([...HEADER.slice(0, 4), 13, 0, 1, 0]), 'is a WebAssembly component'],
  ['a module cut short', module().subarray(0, -1), 'it does not compile: '],
  ['a module for another host', module({ from: 'env' }), 'it imports env.call; wanted imports of'],
  ['a library', module({ held: [MEMORY] }), 'it exports no function _start'],
  ['a start that is no function', module({ held: [[...text('_start'), 2, 0]] }), 'no function _start'],
  ['a module that hides its memory', module({ held: [START] }), 'it exports no memory memory'],
])('%s is refused', (_what, bytes, words) => {
  expect(wasmModuleFault(bytes)).toContain(words);
});
