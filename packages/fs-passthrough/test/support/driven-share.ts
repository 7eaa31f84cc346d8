/** A share with a driver that speaks FUSE to it. */
import { TestClient } from '@oriel/fuse/testing';
import { O_RDONLY, openSys } from '@oriel/sys';
import type { PassthroughOptions } from '../../src/index.ts';
import { ROOT, TestShare } from './share.ts';

/** Request and reply bytes in between. */
export class DrivenShare implements Disposable {
  readonly share: TestShare;
  readonly driver: TestClient;

  constructor(options: Partial<PassthroughOptions> = {}, place?: string) {
    this.share = new TestShare(options, place);
    this.driver = new TestClient({ sys: openSys(), fs: this.share.fs, message: { pieceBytes: 1000 } });
    this.driver.init();
  }

  /** The nodeid of an entry of the root. @throws Error when it cannot be looked up */
  node(name: string): number {
    const reply = this.driver.call(this.driver.request.lookup(ROOT, name));
    if (reply.error !== 0) throw new Error(`lookup of ${name}: ${reply.error}`);
    return reply.readEntry().nodeid;
  }

  /** Opens a file. @throws Error when it cannot be opened */
  open(nodeid: number, flags = O_RDONLY): number {
    const reply = this.driver.call(this.driver.request.open(nodeid, flags));
    if (reply.error !== 0) throw new Error(`open: ${reply.error}`);
    return reply.fh;
  }

  [Symbol.dispose](): void {
    this.driver[Symbol.dispose]();
    this.share[Symbol.dispose]();
  }
}
