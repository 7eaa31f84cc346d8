/** What `npm start` shows of the GPU: a blob that guest and host share, and a picture that the guest draws. */
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { MEMORY_CAPSET_ID } from '@oriel/gpu-blob';
import { renderWindow } from '@oriel/shm-region';
import { openSys } from '@oriel/sys';
import type { GpuBlob } from '../gpu/blob.ts';
import { GPU_FEATURES, GpuGuest } from '../gpu-guest.ts';
import { LoopbackVm } from '../loopback-vm.ts';
import { askOriel } from './oriel-program.ts';
import { decodePng } from './png.ts';
import { bytes, MismatchError, type Print, sameBytes, stepPrinter } from './report.ts';
import { testPicture } from './test-picture.ts';

const MIB = 1 << 20;
const BLOB_BYTES = 4 * MIB;
const BLOB_ID = 2026;
const STORED = 65536;
const STORED_AT = 3 * MIB;
/** Of the picture's memory in the guest: it need not lie together. */
const PIECE = 16384;
const STRIPS = 12;

/** What is toured: where its back-end listens. */
export interface TouredGpu {
  readonly socketPath: string;
  readonly controlPath: string;
}

/** A line of `oriel ctl blobs`. */
interface BlobLine {
  readonly blobId: string;
  /** Under which a process of the same user can open the memory. */
  readonly path: string;
}

/** Walks through everything. @returns the picture that was drawn last, B, G, R, X @throws MismatchError; whatever the VM throws */
export function gpuTour(gpu: TouredGpu, print: Print): Uint8Array {
  const step = stepPrinter(print);
  using vm = LoopbackVm.connect({ sys: openSys(), socket: gpu.socketPath, deviceFeatures: GPU_FEATURES });
  vm.start();
  const guest = new GpuGuest(vm);
  const [output] = guest.outputs();
  const { width, height } = output!;
  const types = guest.capsets().map(({ id }) => (id === MEMORY_CAPSET_ID ? 'memory' : `capset ${id}`));
  step('GPU', `a display of ${width} x ${height}, a window of ${bytes(vm.window.size)}, contexts of type ${types}`);

  const context = guest.createContext(0, 'tour');
  const blob = guest.createHostBlob({ context, size: BLOB_BYTES, blobId: BLOB_ID });
  blob.map();
  const small = guest.createHostBlob({ context, size: MIB });
  small.map();
  share(blob, gpu, step);
  print('');
  print("What of the host's memory the guest sees in its window:");
  const entries = vm.window
    .entries()
    .map((entry, index) => ({ ...entry, label: index === 0 ? 'shared blob' : 'other' }));
  for (const line of renderWindow(entries, vm.window.size)) print(`  ${line}`);
  print('');

  const surface = guest.createSurface({ width, height, pieceSize: PIECE });
  const pixels = testPicture(width, height);
  surface.draw(surface.box, pixels);
  surface.show(0);
  for (let strip = 0; strip < STRIPS; strip++) {
    const y = Math.floor((strip * height) / STRIPS);
    const part = { x: 0, y, width, height: Math.floor(((strip + 1) * height) / STRIPS) - y };
    surface.transfer(part);
    surface.flush(part);
  }
  step(
    'Draw',
    `a test picture of ${bytes(pixels.length)}: ${STRIPS} transfers and flushes out of scattered guest pages`,
  );
  small.unref();
  blob.unmap();
  blob.unref();
  return pixels;
}

/** Each side stores, the other looks. */
function share(blob: GpuBlob, { controlPath }: TouredGpu, step: (name: string, text: string) => void): void {
  const line = askOriel<BlobLine>(controlPath, 'blobs').find(({ blobId }) => blobId === String(BLOB_ID));
  if (line === undefined) throw new MismatchError(`oriel ctl blobs does not know blob ${BLOB_ID}`);
  const host = openSync(line.path, 'r+');
  try {
    const found = new Uint8Array(STORED);
    const fromGuest = randomBytes(STORED);
    blob.write(0, fromGuest);
    readSync(host, found, 0, STORED, 0);
    sameBytes('the blob after a store of the guest', fromGuest, found);
    step('Blob', `${bytes(blob.size)} of host memory in the window; what the guest stores, the host reads at`);
    step('', line.path);
    const fromHost = randomBytes(STORED);
    writeSync(host, fromHost, 0, STORED, STORED_AT);
    sameBytes('the blob after a store of the host', blob.read(STORED_AT, STORED), fromHost);
    step('', `and the other way round: ${bytes(STORED)} each, no copy, no request`);
  } finally {
    closeSync(host);
  }
}

/** Holds the PNG file of the back-end against what was drawn. @throws MismatchError, RangeError */
export function checkPicture(path: string, pixels: Uint8Array, print: Print): void {
  const file = readFileSync(path);
  const { width, height, rgb } = decodePng(file);
  const wanted = new Uint8Array((pixels.length / 4) * 3);
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += 3) {
    wanted.set([pixels[from + 2]!, pixels[from + 1]!, pixels[from]!], to);
  }
  sameBytes('the picture', wanted, rgb);
  const step = stepPrinter(print);
  step(
    'Picture',
    `${width} x ${height} pixels, ${bytes(file.length)} of PNG, every pixel as it was drawn. Look at it:`,
  );
  step('', path);
}
