/** Read whole into memory, at build and by its runtime at each start. */
export const WASM_MODULE_BYTES = 64 * 1024 ** 2;
/** WebAssembly core specification §5.5.16: magic "\0asm", then the version. */
const MAGIC = '0061736d';
const CORE_VERSION = '01000000';
/** Component model, Binary.md: version 0x0d, layer 1. */
const COMPONENT_VERSION = '0d000100';
const WASI = 'wasi_snapshot_preview1';

/** Of the JavaScript API of WebAssembly, what the check needs; TypeScript has its types for browsers only. */
interface ModuleParts {
  imports(module: object): { module: string; name: string }[];
  exports(module: object): { name: string; kind: string }[];
}
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: { Module: (new (bytes: Uint8Array) => object) & ModuleParts };
};

/** Why these bytes are no program for WASI preview 1; undefined when they are one. Nothing of it is run. */
export function wasmModuleFault(bytes: Uint8Array): string | undefined {
  const [magic, version] = [hex(bytes.subarray(0, 4)), hex(bytes.subarray(4, 8))];
  if (magic !== MAGIC)
    return `it begins with ${magic || 'nothing'}, so it is no WebAssembly module; wanted ${MAGIC}${isText(bytes) ? ', which wat2wasm makes of WebAssembly text' : ''}`;
  if (version === COMPONENT_VERSION)
    return 'it is a WebAssembly component; wanted a core module, built for WASI preview 1';
  if (version !== CORE_VERSION) return `it has version ${version || 'none'}; wanted ${CORE_VERSION}`;
  let module: object;
  try {
    module = new WebAssembly.Module(bytes);
  } catch (error) {
    return `it does not compile: ${String(error).replace('CompileError: WebAssembly.Module(): ', '')}`;
  }
  return importFault(module) ?? exportFault(module);
}

function importFault(module: object): string | undefined {
  const strange = WebAssembly.Module.imports(module).find((wanted) => wanted.module !== WASI);
  return strange && `it imports ${strange.module}.${strange.name}; wanted imports of ${WASI} only`;
}

function exportFault(module: object): string | undefined {
  const held = WebAssembly.Module.exports(module).map(({ name, kind }) => `${kind} ${name}`);
  const missing = ['function _start', 'memory memory'].find((wanted) => !held.includes(wanted));
  return missing && `it exports no ${missing}; wanted a program built for WASI preview 1, not a library`;
}

const hex = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** "(module" or a comment, after white space. */
const isText = (bytes: Uint8Array): boolean =>
  /^\s*(\(module|;;|\(;)/.test(String.fromCharCode(...bytes.subarray(0, 256)));
