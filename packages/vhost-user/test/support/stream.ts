/** A front-end as a stream of bytes written by hand, against a back-end with one of the profiles. */
import { check, Fd } from '@oriel/sys';
import { expect } from 'chai';
import { mmapPayload } from './back-peer.ts';
import { bare } from './golden.ts';
import { type FdKind, memfd, SentFds } from './prelude.ts';
import { RawPeer } from './raw-peer.ts';
import { RawSetup, type SetupOptions } from './setup.ts';

/** What the front-end sends, and all that comes back: hex, blanks do not count; 'null' for nothing, 'eof' for the end. */
export type Line = readonly [request: string, answer: string, fds?: readonly FdKind[]];

/** How a front-end comes to running rings. */
export interface Opening {
  readonly negotiate: readonly Line[];
  /** Of SET_BACKEND_REQ_FD, which comes next: its flags, and the answer. */
  readonly back: readonly [flags: number, answer: string];
  readonly start: readonly Line[];
}

/** An answer of success to a request, by the hex of its number. */
export function ack(id: string, value = '00'.repeat(8)): string {
  return `${id}000000 05000000 08000000 ${value}`;
}

/** The memory table of the streams, as SET_MEM_TABLE has it: 64 KiB at GPA 0x4000_0000, user address 0x7000_0000_0000. */
export const MEM_TABLE = `01000000 00000000
  0000004000000000 0000010000000000 0000000000700000 0000000000000000`;

/** SET_VRING_ADDR of ring 0: desc, used, avail, log. */
export const VRING_ADDR = `00000000 00000000
  0000000000700000 0002000000700000 0001000000700000 0000000000000000`;

/** Plays a stream. */
export class StreamSetup extends RawSetup {
  /** A file to map, 1 MiB. */
  readonly file: Fd;
  /** What the requests of this side came to: 'map = 0'. */
  readonly outcomes: string[] = [];
  #back: Fd | null = null;

  constructor(options: SetupOptions) {
    super(options);
    this.file = memfd(this.sys, 0x100000);
  }

  /** Sends the lines and gives what came back, beside what should have. */
  play(lines: readonly Line[]): { got: string[]; wanted: string[] } {
    const got = lines.map(([request, , kinds]) => {
      using fds = new SentFds(this.sys, kinds ?? []);
      this.peer.sendHex(bare(request), fds.numbers);
      return this.peer.receiveHex();
    });
    return { got, wanted: lines.map(([, answer]) => bare(answer)) };
  }

  /** As `play`, and demands that all came back as it should. */
  plays(lines: readonly Line[]): void {
    const { got, wanted } = this.play(lines);
    expect(got).to.deep.equal(wanted);
  }

  /** Plays an opening. @returns the front-end's end of the back channel */
  opens({ negotiate, back: [flags, answer], start }: Opening): RawPeer {
    this.plays(negotiate);
    const back = this.openBack(flags);
    expect(this.peer.receiveHex()).to.equal(bare(answer));
    this.plays(start);
    return back;
  }

  /** Maps and unmaps; each is done at its answer. */
  mapsAndUnmaps(back: RawPeer): void {
    this.map();
    expect(this.take(back)).to.equal(SHMEM_MAP_HEX);
    this.answer(back, ack('09'));
    this.unmap();
    expect(this.take(back)).to.equal(SHMEM_UNMAP_HEX);
    this.answer(back, ack('0a'));
    expect(this.outcomes).to.deep.equal(['map = 0', 'unmap = 0']);
  }

  /** Sends SET_BACKEND_REQ_FD with these flags. @returns the front-end's end of the back channel */
  openBack(flags: number): RawPeer {
    const pair = new Int32Array(2);
    check(this.sys.socket.socketpair(pair), 'socketpair');
    using theirs = new Fd(this.sys.fd, pair[1]!);
    this.#back = new Fd(this.sys.fd, pair[0]!);
    this.peer.send(21, flags, [], [theirs.fd]);
    this.settle();
    return new RawPeer(this.sys, this.#back, () => this.settle());
  }

  /** Asks for a mapping of two pages at 0x2000, of the file's from 0x1000. */
  map(writable = true): void {
    const request = { shmid: 0, fdOffset: 0x1000, shmOffset: 0x2000, len: 0x2000, writable };
    this.backend.mapTransport.map(request, this.file.fd, (error) => this.outcomes.push(`map = ${error}`));
    this.settle();
  }

  unmap(): void {
    const request = { shmid: 0, fdOffset: 0, shmOffset: 0x2000, len: 0x2000, writable: false };
    this.backend.mapTransport.unmap(request, (error) => this.outcomes.push(`unmap = ${error}`));
    this.settle();
  }

  /** The one request on the back channel as hex, with the number of its descriptors. */
  take(back: RawPeer): string {
    const { id, flags, payload, fds } = back.receive();
    for (const fd of fds) {
      this.sys.fd.close(fd);
    }
    const header = Buffer.from(new Uint8Array(Uint32Array.of(id, flags, payload.length).buffer)).toString('hex');
    return `${header}${Buffer.from(payload).toString('hex')} +${fds.length}`;
  }

  /** Answers it, by hex. */
  answer(back: RawPeer, hex: string): void {
    back.sendHex(bare(hex));
    this.settle();
  }

  closeBack(): void {
    this.#back?.close();
    this.settle();
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#back?.close();
    this.file.close();
  }
}

/** SHMEM_MAP and SHMEM_UNMAP of `map` and `unmap` as hex with the number of descriptors. */
export const SHMEM_MAP_HEX = `090000000900000028000000${hex(mmapPayload(0, 0x1000, 0x2000, 0x2000, 1))} +1`;
export const SHMEM_UNMAP_HEX = `0a0000000900000028000000${hex(mmapPayload(0, 0, 0x2000, 0x2000, 0))} +0`;

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
