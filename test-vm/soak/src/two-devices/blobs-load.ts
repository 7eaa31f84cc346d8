/** The guest's work on the GPU: blobs that come, are filled, looked at from both sides, and go; and a picture. */
import { closeSync, fstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { encodeResourceMapBlob, encodeResourceUnmapBlob, encodeResourceUnref } from '@oriel/gpu-blob/testing';
import { type GpuBlob, type GpuContext, GpuGuest, type GpuSurface, type LoopbackVm } from '@oriel/test-vm-loopback';
import { must, same } from '../errors.ts';
import type { Xorshift } from '../random.ts';

const PAGE = 4096;
const MOST_BLOBS = 40;
const MOST_PAGES = 64;
const MOST_ROW = 8;
const FIRST_ERROR = 0x1200;
const STAMP = 64;

/** What is done. */
export type BlobAction = 'make' | 'fill' | 'look' | 'look from the host' | 'drop' | 'remap' | 'row' | 'draw' | 'reset';

interface Live {
  readonly blob: GpuBlob;
  readonly truth: Uint8Array;
}

export class BlobsLoad {
  readonly #vm: LoopbackVm;
  readonly #pid: number;
  readonly #random: Xorshift;
  readonly #guest: GpuGuest;
  #live: Live[] = [];
  #context: GpuContext;
  #surface: GpuSurface;

  /** @param pid - of the back-end */
  constructor(vm: LoopbackVm, pid: number, random: Xorshift) {
    this.#vm = vm;
    this.#pid = pid;
    this.#random = random;
    this.#guest = new GpuGuest(vm);
    this.#context = this.#guest.createContext();
    this.#surface = this.#guest.createSurface({ width: 640, height: 480, pieceSize: PAGE });
  }

  /** @param meanwhile - done while requests of this device are under way */
  act(action: BlobAction, meanwhile: () => void): void {
    const random = this.#random;
    if (action === 'make' || this.#live.length === 0) this.#make();
    else if (action === 'row') this.#row(meanwhile);
    else if (action === 'draw') this.#draw();
    else if (action === 'reset') this.#reset();
    else this.#actOn(random.pick(this.#live), action);
  }

  /** Everything goes. */
  end(): void {
    for (const { blob } of this.#live.splice(0)) blob.unref();
    this.#surface.unref();
    this.#context.destroy();
    same('blobs in the window at the end', this.#vm.window.entries().length, 0);
  }

  #make(): void {
    const random = this.#random;
    if (this.#live.length >= MOST_BLOBS) {
      this.#drop(random.pick(this.#live));
      return;
    }
    const size = random.from(1, MOST_PAGES) * PAGE;
    const blob = this.#guest.createHostBlob({ context: this.#context, size });
    blob.map();
    const live = { blob, truth: new Uint8Array(size) };
    this.#live.push(live);
    this.#look(live);
    this.#fill(live);
  }

  #actOn(live: Live, action: Exclude<BlobAction, 'make' | 'row' | 'draw' | 'reset'>): void {
    switch (action) {
      case 'fill':
        this.#fill(live);
        break;
      case 'look':
        this.#look(live);
        break;
      case 'look from the host':
        this.#lookFromHost(live);
        break;
      case 'drop':
        this.#drop(live);
        break;
      case 'remap':
        live.blob.unmap();
        live.blob.map();
        this.#look(live);
        break;
    }
  }

  #fill({ blob, truth }: Live): void {
    const random = this.#random;
    const offset = random.below(truth.length);
    const part = truth.subarray(offset, offset + random.from(1, 20_000));
    blob.write(offset, random.fill(part));
  }

  #look({ blob, truth }: Live): void {
    const found = blob.read(0, truth.length);
    must(Buffer.compare(found, truth) === 0, `${truth.length} bytes of resource ${blob.resourceId} differ`);
  }

  /** Just one of the back-end's objects holds these bytes; both devices may have it open. */
  #lookFromHost(live: Live): void {
    const stamp = this.#random.fill(live.truth.subarray(0, STAMP));
    live.blob.write(0, stamp);
    const found = new Set<number>();
    for (const object of objectsOf(this.#pid)) if (Buffer.compare(object.bytes, stamp) === 0) found.add(object.inode);
    same('host objects with the bytes that the guest stored', found.size, 1);
  }

  #drop(live: Live): void {
    this.#live = this.#live.filter((one) => one !== live);
    live.blob.unref();
  }

  /** Several are unmapped, unreferenced and mapped without waiting, and the other device works meanwhile. */
  #row(meanwhile: () => void): void {
    const { control } = this.#guest;
    const count = this.#random.from(1, MOST_ROW);
    const row = this.#live.splice(0, count).map(({ blob }) => blob);
    const fresh = row.map(({ size }) => this.#guest.createHostBlob({ context: this.#context, size }));
    const commands = row.flatMap(({ resourceId, offset }, index) => [
      encodeResourceUnmapBlob(resourceId),
      encodeResourceUnref(resourceId),
      encodeResourceMapBlob({ resourceId: fresh[index]!.resourceId, offset }),
    ]);
    const pending = commands.map((command) => control.send(command));
    meanwhile();
    for (const command of pending) must(control.finish(command).type < FIRST_ERROR, 'a command of a row failed');
    for (const [index, blob] of row.entries()) {
      const next = fresh[index]!;
      blob.handOver(next);
      const live = { blob: next, truth: new Uint8Array(next.size) };
      this.#live.push(live);
      this.#look(live);
    }
  }

  #draw(): void {
    const random = this.#random;
    const box = { x: random.below(500), y: random.below(400), width: random.from(1, 100), height: random.from(1, 60) };
    this.#surface.draw(box, random.fill(new Uint8Array(box.width * box.height * 4)));
    this.#surface.transfer(box);
    this.#surface.show(0);
    this.#surface.flush(box);
  }

  #reset(): void {
    this.#vm.reset();
    same('blobs in the window after a reset', this.#vm.window.entries().length, 0);
    this.#surface.pages.release();
    this.#guest.forgetAll();
    this.#live = [];
    this.#context = this.#guest.createContext();
    this.#surface = this.#guest.createSurface({ width: 640, height: 480, pieceSize: PAGE });
  }
}

/** The first bytes of the blobs that a process has open. */
function objectsOf(pid: number): { readonly bytes: Uint8Array; readonly inode: number }[] {
  const dir = `/proc/${pid}/fd`;
  return readdirSync(dir).flatMap((name) => {
    try {
      if (!readlinkSync(`${dir}/${name}`).startsWith('/memfd:oriel-blob')) return [];
      const fd = openSync(`${dir}/${name}`, 'r');
      try {
        const bytes = new Uint8Array(STAMP);
        readSync(fd, bytes, 0, STAMP, 0);
        return [{ bytes, inode: fstatSync(fd).ino }];
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      // Closed since the directory was read.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  });
}
