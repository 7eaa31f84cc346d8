/** A share with a mount in it that is not known to be local, and can be told to answer no more. */
import { PENDING } from '@oriel/fuse';
import type { PassthroughOptions } from '../../src/index.ts';
import { FuseMount } from './fuse-mount.ts';
import { checkLeaks } from './leaks.ts';
import { type RemoteOperation, RemoteShare, RemoteThreads } from './remote-share.ts';

/** The mount is at "mount". At the end the mount answers, and nothing of the share is left open. */
export class MountedShare extends RemoteShare implements AsyncDisposable {
  readonly threads: RemoteThreads;
  #mount: FuseMount | undefined;

  private constructor(threads: RemoteThreads, options: Partial<PassthroughOptions>) {
    super(threads, options);
    this.threads = threads;
  }

  /** @returns undefined where mounting is not allowed */
  static async make(threads: RemoteThreads, options: Partial<PassthroughOptions>): Promise<MountedShare | undefined> {
    const share = new MountedShare(threads, options);
    share.#mount = await FuseMount.at(share.at('mount'));
    if (share.#mount !== undefined) return share;
    share[Symbol.dispose]();
    return undefined;
  }

  get mount(): FuseMount {
    return this.#mount!;
  }

  /** How a request ends that is not answered at once. @throws Error when it was */
  async ends(call: (op: RemoteOperation) => number, op = this.op()): Promise<number> {
    this.begins(call, op);
    return op.end(PENDING);
  }

  /** A request that is not answered at once. @throws Error when it was */
  begins(call: (op: RemoteOperation) => number, op = this.op()): RemoteOperation {
    const result = call(op);
    if (result !== PENDING) throw new Error(`answered in the loop: ${result}`);
    return op;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mount.go();
    this.fs.destroy();
    this.threads.remote.drain();
    await this.mount[Symbol.asyncDispose]();
    this[Symbol.dispose]();
  }
}

/** Makes a share for a test, which is skipped where mounting is not allowed. */
export type Mounted = (context: Mocha.Context, options?: Partial<PassthroughOptions>) => Promise<MountedShare>;

/** A suite on mounts, with threads of its own. */
export function describeMounts(title: string, tests: (mounted: Mounted) => void): void {
  describe(title, function () {
    this.timeout(60_000);
    let threads: RemoteThreads;
    before(async () => {
      threads = new RemoteThreads();
      // The first process that is started leaves descriptors of Node's own.
      await (await MountedShare.make(threads, {}))?.[Symbol.asyncDispose]();
    });
    after(() => threads[Symbol.dispose]());
    // What is closed by helper threads is closed before descriptors are counted.
    afterEach(() => threads.remote.drain());
    checkLeaks();
    tests(async (context, options = {}) => {
      const share = await MountedShare.make(threads, options);
      if (share === undefined) {
        console.log('      SKIPPED, mounting is not allowed here');
        return context.skip();
      }
      return share;
    });
  });
}
