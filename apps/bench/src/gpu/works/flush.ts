/** Pictures of 1920 x 1080: TRANSFER_TO_HOST_2D and RESOURCE_FLUSH, as the console of Linux sends them. */
import { VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM } from '@oriel/gpu-blob';
import {
  encodeAttachBacking,
  encodeResourceCreate2d,
  encodeResourceFlush,
  encodeResourceUnref,
  encodeSetScanout,
  encodeTransferToHost2d,
} from '@oriel/gpu-blob/testing';
import { PAGE, RAM_GPA } from '../../driver/ram.ts';
import { BenchError } from '../../errors.ts';
import { GpuCommand } from '../driver/command.ts';
import type { DisplayReader } from '../driver/display-reader.ts';
import type { GpuSession } from '../driver/session.ts';
import type { GpuWork } from '../driver/work.ts';

const WIDTH = 1920;
const HEIGHT = 1080;
/** Bytes of one picture. */
export const PICTURE_BYTES = WIDTH * HEIGHT * 4;
const SCANOUT = 0;

/** One resource in pages that lie apart, shown on the first scanout. */
export class FlushWork implements GpuWork {
  readonly sampleEvery = 1;
  readonly #session: GpuSession;
  readonly #pages: Uint32Array;
  readonly #first: GpuCommand;
  readonly #resourceId: number;
  readonly #display: DisplayReader | null;

  /** @param display - who shows it: the VMM, which reads the channel; or nobody, then the back-end's own sink has it */
  constructor(session: GpuSession, display: 'channel' | 'headless') {
    const resourceId = session.newId();
    const box = { x: 0, y: 0, width: WIDTH, height: HEIGHT };
    this.#session = session;
    this.#resourceId = resourceId;
    this.#pages = session.ram.takePages(PICTURE_BYTES / PAGE);
    this.#display = display === 'channel' ? session.openDisplay(WIDTH, HEIGHT) : null;
    const entries = Array.from(this.#pages, (page) => ({ addr: RAM_GPA + page, length: PAGE }));
    const format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM;
    session.must(encodeResourceCreate2d({ resourceId, format, width: WIDTH, height: HEIGHT }));
    session.must(encodeAttachBacking({ resourceId, entries }));
    session.must(encodeSetScanout({ ...box, scanoutId: SCANOUT, resourceId }));
    const flush = new GpuCommand(session, 0, encodeResourceFlush({ ...box, resourceId }), {});
    const transfer = encodeTransferToHost2d({ ...box, resourceId, offset: 0 });
    this.#first = new GpuCommand(session, 0, transfer, { next: flush });
  }

  begin(): GpuCommand {
    return this.#first;
  }

  answered(command: GpuCommand, used: number): GpuCommand | null {
    command.expect(used);
    return command.next;
  }

  /** Every pixel that the display has is the guest's. */
  verify(once: (slot: number) => void): void {
    const { u8 } = this.#session.ram;
    this.#pages.forEach((page, index) => {
      const words = new Uint32Array(u8.buffer, page, PAGE / 4);
      for (let i = 0; i < words.length; i++) words[i] = Math.imul(index * words.length + i + 1, 2654435761);
    });
    once(0);
    const display = this.#display;
    if (display === null) return;
    while (display.pictures === 0) this.#session.sleep();
    const { picture } = display;
    this.#pages.forEach((page, index) => {
      const seen = picture.subarray(index * PAGE, (index + 1) * PAGE);
      if (Buffer.compare(seen, u8.subarray(page, page + PAGE)) === 0) return;
      throw new BenchError('ERR_BENCH_ANSWER', `the display differs in bytes ${index * PAGE} to ${(index + 1) * PAGE}`);
    });
  }

  [Symbol.dispose](): void {
    this.#session.must(encodeResourceUnref(this.#resourceId));
    this.#session.closeDisplay();
  }
}
