/** OPEN and RELEASE of one small file after another. */
import { FuseOpenOut, FuseReleaseIn } from '@oriel/fuse';
import { O_RDONLY } from '@oriel/sys';
import { Message } from '../driver/message.ts';
import type { Session } from '../driver/session.ts';
import { SLOTS, type Work } from '../driver/work.ts';
import { FILE_COUNT, fileSize } from '../share.ts';
import { type SmallFiles, smallFiles } from './files.ts';

const OUT_FH = FuseOpenOut.fh.offset;
const IN_FH = FuseReleaseIn.fh.offset;

/** The workload `open`. */
export class OpenWork implements Work {
  readonly sampleEvery = 16;
  readonly #session: Session;
  readonly #words: Uint32Array;
  readonly #files: SmallFiles;
  readonly #opens: Message[] = [];
  readonly #releases: Message[] = [];
  readonly #asked = new Uint32Array(SLOTS);
  #next = 0;

  constructor(session: Session) {
    const { ram, encoder } = session;
    this.#session = session;
    this.#words = ram.words;
    this.#files = smallFiles(session);
    for (let slot = 0; slot < SLOTS; slot++) {
      this.#opens.push(new Message(ram, session.queueOf(slot), slot, encoder.open(0, O_RDONLY)));
      this.#releases.push(new Message(ram, session.queueOf(slot), slot, encoder.release(0, 0)));
    }
  }

  begin(slot: number): Message {
    const file = this.#next;
    this.#next = file + 1 === FILE_COUNT ? 0 : file + 1;
    this.#asked[slot] = file;
    const message = this.#opens[slot]!;
    message.set(this.#session.nextUnique(), this.#files.lo[file]!, this.#files.hi[file]!);
    return message;
  }

  answered(message: Message, used: number): Message | null {
    message.expect(message.answerLen, used);
    const { slot } = message;
    const release = this.#releases[slot]!;
    if (message === release) return null;
    const words = this.#words;
    const file = this.#asked[slot]!;
    release.set(this.#session.nextUnique(), this.#files.lo[file]!, this.#files.hi[file]!);
    words[(release.args + IN_FH) / 4] = words[(message.body + OUT_FH) / 4]!;
    words[(release.args + IN_FH) / 4 + 1] = words[(message.body + OUT_FH) / 4 + 1]!;
    return release;
  }

  /** Besides: that an opened handle is one of the file that was asked for. */
  verify(once: (slot: number) => void): void {
    const { encoder } = this.#session;
    for (let i = 0; i < FILE_COUNT; i++) {
      const slot = i % SLOTS;
      once(slot);
      const file = this.#asked[slot]!;
      const nodeid = this.#files.hi[file]! * 2 ** 32 + this.#files.lo[file]!;
      const { fh } = this.#session.ask(encoder.open(nodeid, O_RDONLY));
      const { bodyLen } = this.#session.ask(encoder.read(nodeid, fh, 0, 4096));
      if (bodyLen !== fileSize(file)) throw this.#opens[slot]!.wrong(`a handle of a file of ${bodyLen} bytes`);
      this.#session.ask(encoder.release(nodeid, fh));
    }
  }
}
