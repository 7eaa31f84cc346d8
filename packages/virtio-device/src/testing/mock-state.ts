/** The state memory of a device in a `MockHost`, and whoever holds it. */
import { type Sys, silentLogger } from '@oriel/sys';
import type { VirtioDevice } from '../device.ts';
import { LocalStore } from '../survival/local-store.ts';
import { SessionState } from '../survival/session-state.ts';

const PREFIX = 'mock';

/** One device's. */
export class MockState implements Disposable {
  readonly session: SessionState;
  readonly #sys: Sys;
  readonly #store: LocalStore;

  private constructor(sys: Sys, size: number) {
    this.#sys = sys;
    this.#store = new LocalStore(sys.fd);
    this.session = new SessionState({ sys, store: this.#store, prefix: PREFIX, size, log: silentLogger });
  }

  /** @returns null for a device without state, or where it does not survive */
  static of(sys: Sys, { stateBytes = 0 }: VirtioDevice, survive: boolean): MockState | null {
    return survive && stateBytes > 0 ? new MockState(sys, stateBytes) : null;
  }

  /** As it is now, out of reach of whoever has this one. */
  copy(): MockState {
    const copy = new MockState(this.#sys, this.session.bytes.length);
    this.session.copyTo(copy.session);
    for (const name of this.#store.names.filter((held) => held !== `${PREFIX}.state`)) {
      using kept = this.#store.take(name)!;
      copy.session.keep(name.slice(`${PREFIX}.kept.`.length), kept);
    }
    return copy;
  }

  [Symbol.dispose](): void {
    this.session[Symbol.dispose]();
    this.#store[Symbol.dispose]();
  }
}
