/**
 * What TRANSFER_TO_HOST_2D of 1920 x 1080 costs, by how the guest's pages lie, beside one copy of as many bytes.
 * Run: `node -C @oriel/source bench/transfer.bench.ts`; a table goes to stderr, JSON to stdout.
 */
import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import { openSys } from '@oriel/sys';
import { VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, VIRTIO_GPU_RESP_OK_NODATA } from '../src/index.ts';
import { Backing } from '../src/resources/backing.ts';
import { ResourceTable } from '../src/resources/table.ts';
import { transferToHost2d } from '../src/resources/transfer-2d.ts';
import { measure, report, type TimedCase } from './median-time.ts';

const WIDTH = 1920;
const HEIGHT = 1080;
const BYTES = WIDTH * HEIGHT * 4;
const PAGE = 4096;
const FORMAT = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM;
/** A stride that shares no factor with the number of pages: each is visited once, none beside the one before. */
const STEP = 1021;
const CALLS = 40;

const sys = openSys();
using ram = new TestMemory(sys, { size: 2 * BYTES, gpa: 0x1_4000_0000 });
using memory = new GuestMemory(sys);
ram.addTo(memory);
ram.u8.fill(1);
using table = new ResourceTable({ sys, maxHostmem: 8 * BYTES, maxResources: 8 });

function pieces(size: number, order: (index: number, count: number) => number): Backing {
  const count = BYTES / size;
  const words = new Uint32Array(count * 4);
  for (let i = 0; i < count; i++) {
    const gpa = ram.gpa + order(i, count) * size;
    words.set([gpa % 2 ** 32, Math.floor(gpa / 2 ** 32), size, 0], i * 4);
  }
  return Backing.of(memory, words, count)!;
}

/** One transfer of the whole resource, or row by row where `width` is less than all of it. */
function transfer(id: number, name: string, backing: Backing, width = WIDTH): TimedCase {
  table.create2d(id, FORMAT, WIDTH, HEIGHT);
  const resource = table.get(id)!;
  resource.attach(backing);
  const call = (): void => {
    const status = transferToHost2d(resource, 0, 0, width, HEIGHT, 0);
    if (status !== VIRTIO_GPU_RESP_OK_NODATA) throw new Error(`status 0x${status.toString(16)}`);
  };
  return { name, calls: CALLS, call };
}

const from = ram.u8.subarray(0, BYTES);
const to = new Uint8Array(BYTES);
const copy: TimedCase = { name: 'one copy', calls: CALLS, call: () => to.set(from) };
const cases = [
  copy,
  transfer(
    1,
    'contiguous',
    pieces(BYTES, () => 0),
  ),
  transfer(
    2,
    'pages of 4 KiB, mixed',
    pieces(PAGE, (i, count) => (i * STEP) % count),
  ),
  transfer(
    3,
    'contiguous, all but one column',
    pieces(BYTES, () => 0),
    WIDTH - 1,
  ),
];
const times = measure(cases);
report(
  'gpu-blob/transfer',
  cases.map(({ name }) => {
    const us = times.get(name)! / 1000;
    const ratio = us / (times.get(copy.name)! / 1000);
    return { name, us: Math.round(us), ratio: Math.round(ratio * 100) / 100 };
  }),
);
