/** Who waits for which answer of a display channel. The front-end answers the requests of one kind in their order. */
import type { Output } from './sink.ts';

export type OutputsDone = (outputs: readonly Output[] | null) => void;
export type EdidDone = (edid: Uint8Array | null) => void;

/**
 * Every callback given here is called exactly once: with the answer, or with null.
 *
 * QEMU leaves a GET_EDID for a scanout that it does not have without an answer. So each one is followed by a second
 * request that is always answered, the mark: when the mark's answer comes first, there is no EDID.
 */
export class PendingReplies {
  readonly #outputs: OutputsDone[] = [];
  /** One for each mark to come; null once the EDID is there. */
  readonly #edids: (EdidDone | null)[] = [];
  #frame: (() => void) | null = null;

  /** A DMABUF_UPDATE is not answered yet. */
  get awaitsFrame(): boolean {
    return this.#frame !== null;
  }

  addOutputs(done: OutputsDone): void {
    this.#outputs.push(done);
  }

  addEdid(done: EdidDone): void {
    this.#edids.push(done);
  }

  /** Only while `awaitsFrame` is false. */
  addFrame(done: () => void): void {
    this.#frame = done;
  }

  /** @returns false when nobody asked */
  gotOutputs(outputs: readonly Output[] | null): boolean {
    const done = this.#outputs.shift();
    done?.(outputs);
    return done !== undefined;
  }

  /** @returns false when nobody asked */
  gotEdid(edid: Uint8Array | null): boolean {
    const done = this.#edids[0];
    if (done === undefined || done === null) {
      return false;
    }
    this.#edids[0] = null;
    done(edid);
    return true;
  }

  /** @returns false when no mark was sent */
  gotMark(): boolean {
    const done = this.#edids.shift();
    done?.(null);
    return done !== undefined;
  }

  /** @returns false when no DMABUF_UPDATE was sent */
  gotFrame(): boolean {
    const done = this.#frame;
    this.#frame = null;
    done?.();
    return done !== null;
  }

  /** Tells everybody that no answer will come. */
  abandon(): void {
    while (this.gotOutputs(null));
    while (this.gotMark());
    this.gotFrame();
  }
}
