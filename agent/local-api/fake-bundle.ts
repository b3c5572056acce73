import type { BundleDesk } from './bundle-port.ts';

/** Tells what it was asked for; `fault` is why it cannot. */
export class FakeBundleDesk implements BundleDesk {
  readonly asked: { maxBytes: number; who: string }[] = [];
  fault: string | undefined;

  async *make(options: { maxBytes: number; who: string }): AsyncGenerator<Uint8Array> {
    this.asked.push(options);
    if (this.fault !== undefined) throw new Error(this.fault);
    yield Buffer.from(`Wherry support bundle for ${options.who}\n`);
    yield Buffer.from('======== 1 doctor ========\n');
  }
}
