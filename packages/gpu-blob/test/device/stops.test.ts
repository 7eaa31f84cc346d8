import { testLimits } from '@oriel/shm-region/testing';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  type ContextHost,
  type ContextType,
  type DisplaySink,
  MEMORY_CAPSET_ID,
  MemoryContextType,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
} from '../../src/index.ts';
import {
  encodeAttachBacking,
  encodeCtxCreate,
  encodeCtxDestroy,
  encodeResourceCreate2d,
  encodeResourceCreateBlob,
  encodeResourceFlush,
  encodeResourceMapBlob,
  encodeResourceUnmapBlob,
  encodeResourceUnref,
  encodeSetScanout,
  encodeSubmit3d,
} from '../../src/testing/index.ts';
import { GpuRig, PAGE, SlowContext, sys } from './rig.ts';

const SLOW = 9;
const part = { x: 0, y: 0, width: 16, height: 16 };
const MOST = 30;

type Step =
  | { readonly kind: 'map' | 'unmap' | 'unref' | 'create'; readonly id: number }
  | { readonly kind: 'submit'; readonly ctxId: number; readonly ring: number; readonly slow: boolean }
  | { readonly kind: 'flush' | 'pause' | 'reset' | 'turn' | 'shown' | 'destroy' }
  | { readonly kind: 'reach'; readonly which: number }
  | { readonly kind: 'late'; readonly ms: number };

const id = fc.integer({ min: 2, max: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom('map', 'unmap', 'unref', 'create'), id }),
  fc.record({
    kind: fc.constant('submit' as const),
    ctxId: fc.integer({ min: 1, max: 2 }),
    ring: fc.integer({ min: 0, max: 1 }),
    slow: fc.boolean(),
  }),
  fc.record({ kind: fc.constantFrom('flush', 'pause', 'reset', 'turn', 'turn', 'shown', 'destroy') }),
  fc.record({ kind: fc.constant('reach' as const), which: fc.nat({ max: 3 }) }),
  fc.record({ kind: fc.constant('late' as const), ms: fc.constantFrom(0, 3, 10) }),
);

/** A device whose answers come late, from everywhere. */
class Trial implements DisplaySink {
  readonly name = 'slow';
  readonly memory = new MemoryContextType({ sys });
  readonly rig: GpuRig;
  contexts: SlowContext[] = [];
  updates: (() => void)[] = [];
  waiting = new Set<number>();
  fenceId = 0;

  constructor() {
    const slow: ContextType = {
      capsetId: SLOW,
      name: 'slow',
      maxVersion: 0,
      capset: new Uint8Array(0),
      create: (host: ContextHost) => {
        const context = new SlowContext(host);
        this.contexts.push(context);
        return context;
      },
    };
    const limits = testLimits({ pageSize: PAGE });
    this.rig = new GpuRig({ sink: this, maxMappings: 2, contextTypes: [slow, this.memory] }, { limits });
  }
  setScanout(): void {}
  update(_scanout: number, _x: number, _y: number, _source: unknown, done: () => void): void {
    this.updates.push(done);
  }
  updateCursor(): void {}
  moveCursor(): void {}
  hideCursor(): void {}

  send(command: Uint8Array): void {
    if (!this.rig.host.running || this.waiting.size >= MOST) return;
    this.waiting.add(this.rig.send(command));
  }

  /** What every driver begins with. */
  begin(): void {
    const { ram } = this.rig.host;
    this.send(encodeCtxCreate({ contextInit: SLOW }, { ctxId: 1 }));
    this.send(encodeCtxCreate({ contextInit: MEMORY_CAPSET_ID }, { ctxId: 2 }));
    const format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM;
    this.send(encodeResourceCreate2d({ resourceId: 1, format, width: 16, height: 16 }));
    this.send(encodeAttachBacking({ resourceId: 1, entries: [{ addr: ram.gpa, length: PAGE }] }));
    this.send(encodeSetScanout({ ...part, scanoutId: 0, resourceId: 1 }));
    for (const resourceId of [2, 3]) this.send(this.create(resourceId));
    for (const resourceId of [2, 3]) this.send(encodeResourceMapBlob({ resourceId, offset: resourceId * PAGE }));
  }

  create(resourceId: number): Uint8Array {
    return encodeResourceCreateBlob({ resourceId, blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, size: PAGE }, { ctxId: 2 });
  }

  take(): void {
    for (let reply = this.rig.host.driver(0).take(); reply !== null; reply = this.rig.host.driver(0).take()) {
      expect(this.waiting.delete(reply.head), `head ${reply.head} was not out`).to.equal(true);
      expect(reply.written).to.be.at.least(24);
    }
  }

  reach(which: number): void {
    for (const context of this.contexts) {
      context.submits.splice(which, 1)[0]?.done(0x1100);
      context.fences.splice(which, 1)[0]?.done();
    }
  }

  async run(next: Step): Promise<void> {
    const { host } = this.rig;
    switch (next.kind) {
      case 'create':
        this.send(this.create(next.id));
        break;
      case 'map':
        this.send(encodeResourceMapBlob({ resourceId: next.id, offset: next.id * PAGE }));
        break;
      case 'unmap':
        this.send(encodeResourceUnmapBlob(next.id));
        break;
      case 'unref':
        this.send(encodeResourceUnref(next.id));
        break;
      case 'submit': {
        for (const context of this.contexts) context.slowSubmit = next.slow;
        const fence = { idLo: ++this.fenceId, ringIdx: next.ring };
        this.send(encodeSubmit3d(new Uint8Array(0), { ctxId: next.ctxId, fence }));
        break;
      }
      case 'flush':
        this.send(encodeResourceFlush({ ...part, resourceId: 1 }));
        break;
      case 'destroy':
        this.send(encodeCtxDestroy({ ctxId: 1 }));
        this.send(encodeCtxCreate({ contextInit: SLOW }, { ctxId: 1 }));
        break;
      case 'pause':
        if (host.running) host.pause();
        else host.start();
        break;
      case 'reset':
        this.take();
        host.reset();
        this.waiting.clear();
        host.start();
        this.begin();
        break;
      case 'reach':
        this.reach(next.which);
        break;
      case 'shown':
        this.updates.shift()?.();
        break;
      case 'late':
        host.transport.behaviour.delayMs = next.ms;
        break;
      default:
        await host.turn();
    }
    this.take();
  }

  /** Everything that is owed comes. */
  async end(): Promise<void> {
    const { host } = this.rig;
    if (!host.running) host.start();
    await host.until(() => {
      this.reach(0);
      this.updates.shift()?.();
      this.take();
      return this.waiting.size === 0;
    });
    expect(this.rig.device.stats.waiting).to.equal(0);
  }

  [Symbol.dispose](): void {
    this.rig[Symbol.dispose]();
  }
}

describe('stops at any time', () => {
  it('answer each request once, and lose nothing (property)', async function () {
    this.timeout(60_000);
    const leaks = leakCheck();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        using trial = new Trial();
        trial.begin();
        for (const next of steps) await trial.run(next);
        await trial.end();
        trial.rig.host.reset();
        expect(trial.rig.device.stats).to.include({ resources: 0, contexts: 0, mappings: 0, hostmem: 0, waiting: 0 });
        expect(trial.memory.objects()).to.deep.equal([]);
      }),
      { numRuns: 150, seed: 5 },
    );
    leaks.check();
  });
});
