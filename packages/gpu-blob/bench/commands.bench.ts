/**
 * What a command costs the device, from the avail ring to the used ring, without kicks and without a driver.
 * Run: `node -C @oriel/source bench/commands.bench.ts`; a table goes to stderr, JSON to stdout.
 */
import { BlockingLoop, openSys } from '@oriel/sys';
import { MockHost } from '@oriel/virtio-device/testing';
import { SplitQueue, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from '@oriel/virtqueue';
import { TestRing } from '@oriel/virtqueue/testing';
import {
  CONTROL_QUEUE,
  CtrlHdr,
  GpuDevice,
  MEMORY_CAPSET_ID,
  MemoryContextType,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
} from '../src/index.ts';
import {
  encodeCtxCreate,
  encodeGetDisplayInfo,
  encodeResourceCreateBlob,
  encodeResourceUnref,
  encodeSubmit3d,
  replySize,
  typeOf,
} from '../src/testing/index.ts';
import { measure, report, type TimedCase } from './median-time.ts';

const SIZE = 256;
const BATCH = 32;
const BATCHES = 400;
const ROOM = 2048;
const RAM = 4 << 20;

const sys = openSys();
using loop = new BlockingLoop(sys);
using device = new GpuDevice({ sys, contextTypes: [new MemoryContextType({ sys })] });
using host = new MockHost(device, { sys, loop, bytesPerQueue: RAM });
host.attach();
device.setFeatures(device.features);

/** The ring of the control queue, in the half of guest memory that no mock driver uses. */
const ring = new TestRing(host.ram, SIZE, host.ram.gpa + RAM);
const buffers = Math.ceil(ring.end / ROOM) * ROOM;
device.startQueue(CONTROL_QUEUE, new SplitQueue(host.memory, ring.config({ eventIdx: true })), true);

let heads = 0;
let failures = 0;

/** Puts a command behind a head of its own: two descriptors, its bytes, room for the reply. @returns the head */
function place(command: Uint8Array): number {
  const head = heads * 2;
  const request = buffers + heads * ROOM;
  heads++;
  host.ram.u8.set(command, request - host.ram.gpa);
  ring.setDesc(head, { addr: request, len: command.length, flags: VRING_DESC_F_NEXT, next: head + 1 });
  ring.setDesc(head + 1, { addr: request + ROOM / 2, len: replySize(typeOf(command)), flags: VRING_DESC_F_WRITE });
  return head;
}

/** Batches of commands, which take turns in a batch. */
function commands(name: string, ...list: readonly Uint8Array[]): TimedCase {
  const mine = list.map(place);
  const replies = mine.map((head) => buffers + (head / 2) * ROOM + ROOM / 2 - host.ram.gpa);
  const call = (): void => {
    for (let i = 0; i < BATCH; i++) ring.offer(mine[i % mine.length]!);
    // A turn ends early where this process had to wait for its CPU.
    while (ring.usedIdx !== ring.availIdx) device.process(CONTROL_QUEUE, BATCH);
    for (const reply of replies) if (CtrlHdr.type.get(host.ram.view, reply) >= VIRTIO_GPU_RESP_ERR_UNSPEC) failures++;
  };
  return { name, calls: BATCHES, call };
}

const context = commands(
  'context',
  encodeCtxCreate({ contextInit: MEMORY_CAPSET_ID, debugName: 'bench' }, { ctxId: 1 }),
);
context.call();
// All but the first of that batch found the context there.
failures = 0;
const fence = { idLo: 1, ringIdx: 0 };
const blob = { resourceId: 1, blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, size: 4096 };
const cases = [
  commands('GET_DISPLAY_INFO', encodeGetDisplayInfo()),
  commands('SUBMIT_3D, empty', encodeSubmit3d(new Uint8Array(0), { ctxId: 1 })),
  commands('SUBMIT_3D, empty, fenced', encodeSubmit3d(new Uint8Array(0), { ctxId: 1, fence })),
  commands('CREATE_BLOB or UNREF', encodeResourceCreateBlob(blob, { ctxId: 1 }), encodeResourceUnref(1)),
];
const times = measure(cases);
if (failures > 0 || ring.errors.length > 0)
  throw new Error(`${failures} failures, ${ring.errors.length} errors: ${ring.errors[0]?.message}`);
report(
  'gpu-blob/commands',
  cases.map(({ name }) => {
    const ns = times.get(name)! / BATCH;
    return { name, ns: Math.round(ns), 'per second': Math.round(1e9 / ns) };
  }),
);
