/** Tells the state of a device: its session and what the file system says. */
import { type FuseSession, MAX_STATE_RECORD, type StateRecords } from '@oriel/fuse';
import type { StateSource } from '@oriel/virtio-device';
import {
  END,
  EndPiece,
  INIT_MAX,
  MAGIC,
  PieceHead,
  RECORD,
  SESSION,
  SessionPiece,
  StateHeader,
  VERSION,
} from './layout.ts';

const HEAD = PieceHead.byteLength;

export class FsStateSource implements StateSource {
  readonly #session: FuseSession;
  /** Null where there is no session: it has no state then. */
  readonly #records: StateRecords | null;
  readonly #record = new Uint8Array(MAX_STATE_RECORD);
  #pieces = 0;
  #step: 'header' | 'records' | 'done' = 'header';

  constructor(session: FuseSession, save: () => StateRecords) {
    this.#session = session;
    this.#records = session.state === null ? null : save();
  }

  read(into: Uint8Array): number {
    const view = new DataView(into.buffer, into.byteOffset, into.length);
    let at = 0;
    if (this.#step === 'header') {
      this.#step = 'records';
      at = this.#putHeader(into, view);
    }
    while (this.#step === 'records' && into.length - at >= 2 * HEAD + EndPiece.byteLength + MAX_STATE_RECORD) {
      const len = this.#records === null ? 0 : this.#records.next(this.#record);
      if (len < 0) return len;
      if (len === 0) {
        this.#step = 'done';
        EndPiece.pieces.set(view, at + HEAD, this.#pieces);
        return this.#putHead(view, at, END, EndPiece.byteLength);
      }
      into.set(this.#record.subarray(0, len), at + HEAD);
      at = this.#putHead(view, at, RECORD, len);
    }
    return at;
  }

  [Symbol.dispose](): void {
    this.#records?.[Symbol.dispose]();
  }

  #putHeader(into: Uint8Array, view: DataView): number {
    StateHeader.magic.set(view, 0, MAGIC);
    StateHeader.version.set(view, 0, VERSION);
    StateHeader.reserved.set(view, 0, 0);
    StateHeader.reserved2.set(view, 0, 0);
    const at = StateHeader.byteLength;
    const { state } = this.#session;
    if (state === null) return at;
    const init = state.init.subarray(0, INIT_MAX);
    SessionPiece.flagsLo.set(view, at + HEAD, state.flagsLo);
    SessionPiece.flagsHi.set(view, at + HEAD, state.flagsHi);
    SessionPiece.maxPages.set(view, at + HEAD, state.maxPages);
    SessionPiece.reserved.set(view, at + HEAD, 0);
    into.set(init, at + HEAD + SessionPiece.byteLength);
    return this.#putHead(view, at, SESSION, SessionPiece.byteLength + init.length);
  }

  /** @returns where the next piece begins */
  #putHead(view: DataView, at: number, kind: number, len: number): number {
    PieceHead.kind.set(view, at, kind);
    PieceHead.len.set(view, at, len);
    this.#pieces++;
    return at + HEAD + len;
  }
}
