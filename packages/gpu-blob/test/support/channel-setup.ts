/** A display channel and what stands at its other end, over a real socketpair on one blocking loop. */
import { BlockingLoop, check, Fd, type Logger, openSys, type Sys } from '@oriel/sys';
import { DisplayChannel } from '../../src/display/channel.ts';
import type { PixelSource } from '../../src/display/sink.ts';
import type { GpuError } from '../../src/errors.ts';
import { DisplayPeer } from './display-peer.ts';

export const GET_FEATURES = '01000000 00000000 00000000'.replaceAll(' ', '');

/** One channel with bytes at its other end. */
export class ChannelSetup implements Disposable {
  readonly loop: BlockingLoop;
  readonly channel: DisplayChannel;
  readonly peer: DisplayPeer;
  readonly ends: GpuError[] = [];
  readonly warnings: string[] = [];
  readyCount = 0;

  constructor(sys: Sys = openSys()) {
    this.loop = new BlockingLoop(sys);
    const pair = new Int32Array(2);
    check(sys.socket.socketpair(pair), 'socketpair');
    const theirs = new Fd(sys.fd, pair[1]!);
    this.peer = new DisplayPeer(openSys(), theirs, () => this.settle());
    const { log, lines } = collectLog();
    this.warnings = lines;
    this.channel = new DisplayChannel({
      sys,
      loop: this.loop,
      socket: new Fd(sys.fd, pair[0]!),
      log,
      onClosed: (reason) => this.ends.push(reason),
      onReady: () => this.readyCount++,
    });
  }

  /** Does the negotiation, with what the front-end offers. */
  agree(offered = 3): this {
    this.peer.receiveHex();
    this.peer.answer(1, [offered, 0, 0, 0, 0, 0, 0, 0]);
    this.peer.receiveHex();
    return this;
  }

  settle(): void {
    while (this.loop.runOnce(0) > 0);
  }

  [Symbol.dispose](): void {
    this.channel[Symbol.dispose]();
    this.peer.close();
    this.settle();
    this.loop[Symbol.dispose]();
  }
}

/** Lines of the warnings. */
export function collectLog(): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  const drop = (): void => {};
  const warn = (message: string): void => {
    lines.push(message);
  };
  return { log: { error: drop, warn, info: drop, debug: drop, trace: drop }, lines };
}

/** Pixels whose bytes count up, in one piece or to be gathered. */
export function countingSource(width: number, height: number, kind: 'direct' | 'gathered'): PixelSource {
  const pixels = Uint8Array.from({ length: width * height * 4 }, (_, index) => (index + (index >> 8)) & 0xff);
  return sourceOf(width, height, pixels, kind);
}

/** A source over given bytes. */
export function sourceOf(width: number, height: number, pixels: Uint8Array, kind: 'direct' | 'gathered'): PixelSource {
  const rowBytes = width * 4;
  return {
    width,
    height,
    direct: kind === 'direct' ? pixels : null,
    copyRows(first, count, to, toOffset) {
      to.set(pixels.subarray(first * rowBytes, (first + count) * rowBytes), toOffset);
      return 0;
    },
  };
}

/** More than a socket holds. */
export const LARGE = { width: 1024, height: 800 } as const;
export const LARGE_BYTES = LARGE.width * LARGE.height * 4;
export const PART = { x: 0, y: 0, width: 64, height: 64 };
/** A frame that needs no modifier. */
export const FRAME = {
  width: 64,
  height: 64,
  stride: 256,
  fourcc: 0x34325258,
  modifierLo: 0,
  modifierHi: 0,
  bottomUp: false,
};

/** A channel whose large scanout waits for pixels. */
export function largeScanout(setup: ChannelSetup): ChannelSetup {
  setup.agree();
  setup.channel.setScanout(0, LARGE.width, LARGE.height);
  setup.peer.receiveHex();
  return setup;
}
