// Runs a WASI preview 1 program on Node: run.js <module> [argument…]. Its sandbox is the container, so the program gets
// what any program in a container has: the environment, and the file system from the root down.
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';

/** 128 + SIGABRT: what a native program that is ended by its own fault gives. */
const TRAPPED = 134;
/** As a shell says of what cannot be run. */
const CANNOT_RUN = 126;

async function load(wasi, file) {
  try {
    // Read without the thread pool: its four threads would count against the service's pids.
    const module = await WebAssembly.compile(readFileSync(file));
    return await WebAssembly.instantiate(module, wasi.getImportObject());
  } catch (error) {
    console.error(`Cannot run ${file}: ${error.message}`);
    process.exit(CANNOT_RUN);
  }
}

const [file, ...args] = process.argv.slice(2);
const wasi = new WASI({
  version: 'preview1',
  args: [file, ...args],
  env: process.env,
  preopens: { '/': '/' },
});
const instance = await load(wasi, file);
try {
  process.exitCode = wasi.start(instance);
} catch (error) {
  if (!(error instanceof WebAssembly.RuntimeError) && !(error instanceof RangeError)) throw error;
  console.error(`The program ${file} trapped: ${error.message}`);
  process.exitCode = TRAPPED;
}
