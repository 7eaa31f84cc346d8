/** A share with helper threads of real, and requests that may end later. */
import { PENDING } from '@oriel/fuse';
import { type HelperThreads, NodeLoop, openOffload, openSys } from '@oriel/sys';
import type { PassthroughOptions } from '../../src/index.ts';
import { TestOperation } from './request.ts';
import { TestShare } from './share.ts';

/** As a share with a mount needs it: its own threads for that, others for what is local. */
export class RemoteThreads implements Disposable {
  readonly loop = new NodeLoop(openSys());
  readonly remote: HelperThreads = openOffload(openSys(), this.loop, { helpers: 10, endless: true });
  readonly local: HelperThreads = openOffload(openSys(), this.loop);

  constructor() {
    this.loop.run();
    // Their threads are no leaks of a test.
    this.remote.startAll();
    this.local.startAll();
  }

  [Symbol.dispose](): void {
    this.remote[Symbol.dispose]();
    this.local[Symbol.dispose]();
    this.loop[Symbol.dispose]();
  }
}

/** A request whose end can be awaited. */
export class RemoteOperation extends TestOperation {
  readonly #ended = Promise.withResolvers<number>();

  override complete(result: number): void {
    super.complete(result);
    this.#ended.resolve(result);
  }

  /** What the method returned, or what came later. */
  async end(result: number): Promise<number> {
    return result === PENDING ? this.#ended.promise : result;
  }
}

/** `TestShare`, with requests of that kind. */
export class RemoteShare extends TestShare {
  constructor(threads: RemoteThreads, options: Partial<PassthroughOptions> = {}) {
    super({
      offload: threads.local,
      remoteOffload: threads.remote,
      timer: (ms, callback) => threads.loop.timer(ms, callback),
      ...options,
    });
  }

  override op(uid = 0, gid = 0): RemoteOperation {
    const op = new RemoteOperation();
    op.uid = uid;
    op.gid = gid;
    return op;
  }

  /** The nodeid of a path. @throws Error when a step fails */
  async find(...names: string[]): Promise<number> {
    let nodeid = 1;
    for (const name of names) {
      const op = this.op();
      const result = await op.end(this.fs.lookup(op, nodeid, this.arena.name(name)));
      if (result !== 0) throw new Error(`lookup of ${name}: ${result}`);
      nodeid = op.entry.nodeid;
    }
    return nodeid;
  }

  /** Opens a file. @throws Error when it cannot be opened */
  async openAt(nodeid: number, flags: number): Promise<number> {
    const op = this.op();
    const result = await op.end(this.fs.open(op, nodeid, flags, false));
    if (result !== 0) throw new Error(`open: ${result}`);
    return op.fh;
  }
}
