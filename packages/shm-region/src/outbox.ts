/** What a region has sent over the present connection, and whether more may go. */
import { ECANCELED } from '@oriel/sys';
import type { MapTransport, WireMapping } from './transport.ts';

/** Requests that one connection has not answered. */
interface Flight {
  requests: number;
  /** Maps among them whose mappings the region has forgotten meanwhile. */
  forgottenMaps: number;
}

function newFlight(): Flight {
  return { requests: 0, forgottenMaps: 0 };
}

/** Requests on their way. `T` stands for a map until it is answered. */
export class Outbox<T> {
  /** The rings do not run: nothing is sent. */
  suspended = false;
  readonly #maxInFlight: number;
  readonly #mayGoOn: () => void;
  #transport: MapTransport | null = null;
  /** What the present connection has not answered; a new connection gets a new object, so late answers count nowhere. */
  #flight = newFlight();
  /** Maps whose answer somebody waits for. */
  readonly #sentMaps = new Set<T>();
  /** Mappings that the front-end made after they were forgotten: it carried a request out behind its reset. */
  #strays: WireMapping[] = [];

  /** @param mayGoOn - an answer came to what nobody waits for */
  constructor(maxInFlight: number, mayGoOn: () => void) {
    this.#maxInFlight = maxInFlight;
    this.#mayGoOn = mayGoOn;
  }

  get busy(): boolean {
    return this.#flight.requests > 0;
  }

  get open(): boolean {
    return !this.suspended && this.#transport?.ready === true;
  }

  /** Another request can go now. What a forgotten map came to decides whether its place is free. */
  get free(): boolean {
    return this.open && this.#flight.forgottenMaps === 0 && this.#hasRoom;
  }

  /** @returns maps that waited for an answer of the connection before, which nobody hears any more; null: it is the same */
  setTransport(transport: MapTransport | null): readonly T[] | null {
    if (transport === this.#transport) {
      return null;
    }
    this.#transport = transport;
    this.#flight = newFlight();
    return this.#takeSent();
  }

  /** The front-end dropped all mappings. @returns maps that wait for an answer, which is nobody's then */
  forget(): readonly T[] {
    this.#flight.forgottenMaps += this.#sentMaps.size;
    return this.#takeSent();
  }

  /** @param answered - comes once; `held` is false for one that was forgotten */
  map(task: T, wire: WireMapping, fd: number, answered: (error: number, held: boolean) => void): void {
    const flight = this.#flight;
    this.#sentMaps.add(task);
    flight.requests += 1;
    this.#transport?.map(wire, fd, (error) => {
      flight.requests -= 1;
      const held = this.#sentMaps.delete(task);
      if (!held && flight === this.#flight) {
        flight.forgottenMaps -= 1;
        if (error === 0) {
          this.#strays.push(wire);
        }
      }
      answered(error, held);
    });
  }

  unmap(wire: WireMapping, answered: (error: number) => void): void {
    const flight = this.#flight;
    flight.requests += 1;
    this.#transport?.unmap(wire, (error) => {
      flight.requests -= 1;
      answered(error);
    });
  }

  /** A mapping that may be there, and is to go: before anything else. */
  addStray(wire: WireMapping): void {
    this.#strays.push(wire);
  }

  /** Before anything else: a request for the same range would be refused. That a front-end has dropped them is no harm. */
  unmapStrays(): void {
    const strays = this.#strays;
    while (this.open && strays.length > 0 && this.#hasRoom) {
      const stray = strays.shift()!;
      this.unmap(stray, (error) => {
        // Not sent after all: the rings had stopped.
        if (error === -ECANCELED) {
          strays.push(stray);
        }
        this.#mayGoOn();
      });
    }
  }

  get #hasRoom(): boolean {
    return this.#flight.requests < this.#maxInFlight;
  }

  #takeSent(): readonly T[] {
    const sent = [...this.#sentMaps];
    this.#sentMaps.clear();
    this.#strays = [];
    return sent;
  }
}
