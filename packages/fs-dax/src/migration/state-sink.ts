/** Takes the state of a device from another host. */
import { type FuseSession, MAX_STATE_RECORD, type SessionState, type StateTaker } from '@oriel/fuse';
import { EINVAL, type Logger } from '@oriel/sys';
import type { StateSink } from '@oriel/virtio-device';
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

export class FsStateSink implements StateSink {
  readonly #session: FuseSession;
  readonly #load: () => StateTaker;
  readonly #log: Logger;
  /** What is under way: the header, the head of a piece, or a whole piece. */
  readonly #held = new Uint8Array(HEAD + MAX_STATE_RECORD);
  readonly #view = new DataView(this.#held.buffer);
  #has = 0;
  #wants = StateHeader.byteLength;
  #step: 'header' | 'head' | 'piece' | 'end' = 'header';
  #pieces = 0;
  #state: SessionState | null = null;
  #taker: StateTaker | null = null;

  constructor(session: FuseSession, load: () => StateTaker, log: Logger) {
    this.#session = session;
    this.#load = load;
    this.#log = log;
  }

  write(bytes: Uint8Array): number {
    for (let at = 0; at < bytes.length; ) {
      const part = Math.min(this.#wants - this.#has, bytes.length - at);
      this.#held.set(bytes.subarray(at, at + part), this.#has);
      this.#has += part;
      at += part;
      const result = this.#has === this.#wants ? this.#whole() : 0;
      if (result < 0) return result;
    }
    return 0;
  }

  end(): number {
    if (this.#step !== 'end' || this.#has > 0) return this.#refuse('it was cut');
    const result = this.#taker?.end() ?? 0;
    if (result === 0 && this.#state !== null) this.#session.takeOver(this.#state);
    return result;
  }

  [Symbol.dispose](): void {
    this.#taker?.[Symbol.dispose]();
  }

  #whole(): number {
    if (this.#step === 'header') {
      const magic = StateHeader.magic.get(this.#view, 0);
      const version = StateHeader.version.get(this.#view, 0);
      if (magic !== MAGIC || version !== VERSION)
        return this.#refuse(`magic 0x${magic.toString(16)}, version ${version}`);
      this.#next('head', HEAD);
      return 0;
    }
    if (this.#step === 'head') {
      const len = PieceHead.len.get(this.#view, 0);
      if (len === 0 || len > MAX_STATE_RECORD) return this.#refuse(`a piece of ${len} bytes`);
      this.#step = 'piece';
      this.#wants = HEAD + len;
      return 0;
    }
    if (this.#step === 'end') return this.#refuse('there is more behind its end');
    const kind = PieceHead.kind.get(this.#view, 0);
    const piece = this.#held.subarray(HEAD, this.#wants);
    this.#next(kind === END ? 'end' : 'head', HEAD);
    const result = this.#piece(kind, piece);
    this.#pieces++;
    return result;
  }

  #piece(kind: number, piece: Uint8Array): number {
    if (kind === SESSION && this.#pieces === 0) return this.#begin(piece);
    if (kind === RECORD && this.#taker !== null) {
      const result = this.#taker.take(piece);
      return result === -EINVAL ? this.#refuse(`record ${this.#pieces} of the file system`) : result;
    }
    const told = kind === END && piece.length === EndPiece.byteLength ? EndPiece.pieces.get(this.#view, HEAD) : -1;
    return told === this.#pieces ? 0 : this.#refuse(`piece ${this.#pieces} of kind ${kind}`);
  }

  #begin(piece: Uint8Array): number {
    const len = piece.length - SessionPiece.byteLength;
    if (len < 0 || len > INIT_MAX) return this.#refuse(`a request of INIT of ${len} bytes`);
    const state = {
      flagsLo: SessionPiece.flagsLo.get(this.#view, HEAD),
      flagsHi: SessionPiece.flagsHi.get(this.#view, HEAD),
      maxPages: SessionPiece.maxPages.get(this.#view, HEAD),
      init: piece.slice(SessionPiece.byteLength),
    };
    const result = this.#session.fits(state);
    if (result < 0) return result;
    this.#state = state;
    this.#taker = this.#load();
    return 0;
  }

  #next(step: 'head' | 'end', wants: number): void {
    this.#step = step;
    this.#has = 0;
    this.#wants = wants;
  }

  #refuse(what: string): number {
    this.#log.error(`the state of another host is refused: ${what}`);
    return -EINVAL;
  }
}
