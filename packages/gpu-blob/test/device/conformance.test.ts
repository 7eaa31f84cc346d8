import { BlockingLoop, NodeLoop } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { deviceConformance, type HeldRequest, type SampleRequest } from '@oriel/virtio-device/testing';
import {
  CONTROL_QUEUE,
  type ContextHost,
  type ContextType,
  CtrlHdr,
  CURSOR_QUEUE,
  GpuDevice,
  HeadlessSink,
  MEMORY_CAPSET_ID,
  MemoryContextType,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
} from '../../src/index.ts';
import {
  encodeCtxCreate,
  encodeGetDisplayInfo,
  encodeMoveCursor,
  encodeResourceCreateBlob,
  encodeResourceMapBlob,
  encodeResourceUnmapBlob,
  encodeSubmit3d,
  replySize,
  typeOf,
} from '../../src/testing/index.ts';
import { SlowContext, sys, WINDOW } from './rig.ts';

/** A command, and that it succeeds or is at least answered. */
function sample(command: Uint8Array, verdict: 'succeeds' | 'is answered', queue = CONTROL_QUEUE): SampleRequest {
  return {
    queue,
    readable: [command],
    writable: queue === CONTROL_QUEUE ? [replySize(typeOf(command))] : [],
    verify: ({ written, bytes }) => {
      if (queue === CURSOR_QUEUE) return;
      if (written < CtrlHdr.byteLength) throw new Error(`${written} bytes of a reply`);
      const type = CtrlHdr.type.get(new DataView(bytes.buffer, bytes.byteOffset), 0);
      if (type >= VIRTIO_GPU_RESP_ERR_UNSPEC && verdict === 'succeeds') throw new Error(`0x${type.toString(16)}`);
    },
  };
}

const SLOW_CAPSET = 9;
const SLOW_CTX = 2;
/** The context that was made last. */
let waiting: SlowContext | null = null;
const slow: ContextType = {
  capsetId: SLOW_CAPSET,
  name: 'slow',
  maxVersion: 0,
  capset: new Uint8Array(0),
  create: (host: ContextHost) => {
    waiting = new SlowContext(host);
    return waiting;
  },
  restore(host: ContextHost) {
    waiting = new SlowContext(host);
    return waiting;
  },
};
/** A command whose fence is reached when the test says so. */
const held: HeldRequest = {
  ...sample(encodeSubmit3d(new Uint8Array(4), { ctxId: SLOW_CTX, fence: { idLo: 1, ringIdx: 0 } }), 'succeeds'),
  release: () => waiting?.fences.shift()?.done(),
};

const blob = { resourceId: 2, blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, size: 1 << 20 };
// What was made once is there the second time: only the first and the last are sure to succeed.
const requests = [
  sample(encodeGetDisplayInfo(), 'succeeds'),
  sample(encodeCtxCreate({ contextInit: MEMORY_CAPSET_ID }, { ctxId: 1 }), 'is answered'),
  sample(encodeCtxCreate({ contextInit: SLOW_CAPSET }, { ctxId: SLOW_CTX }), 'is answered'),
  sample(encodeResourceCreateBlob(blob, { ctxId: 1 }), 'is answered'),
  sample(encodeResourceMapBlob({ resourceId: 2, offset: 0 }), 'is answered'),
  sample(encodeResourceUnmapBlob(2), 'is answered'),
  sample(encodeMoveCursor({ scanoutId: 0, x: 1, y: 1, resourceId: 0, hotX: 0, hotY: 0 }), 'is answered', CURSOR_QUEUE),
];
const drivers = { blocking: () => new BlockingLoop(sys), node: () => new NodeLoop(sys) };

for (const [driver, makeLoop] of Object.entries(drivers)) {
  describe(`deviceConformance, ${driver} driver`, () => {
    before(() => {
      makeLoop()[Symbol.dispose]();
      leakCheck().check();
    });
    const make = () =>
      new GpuDevice({
        sys,
        hostVisible: WINDOW,
        contextTypes: [new MemoryContextType({ sys }), slow],
        sink: new HeadlessSink(),
        survive: true,
      });
    for (const { name, run } of deviceConformance(make, { sys, makeLoop, requests, held, survives: true }))
      it(name, run);
  });
}
