/**
 * A front-end that carries requests out when it is told to, and answers when it is told to: both late, in order, and not
 * always with success.
 */
import type { MapTransport, Window, WindowEntry, WireMapping } from '@oriel/shm-region';
import { ECANCELED, EIO, Fd, type Sys } from '@oriel/sys';
import { must } from '../errors.ts';

type Done = (error: number) => void;

interface Request {
  readonly kind: 'map' | 'unmap';
  /** Number of the map request that is sent; 0 for an unmap. */
  readonly id: number;
  readonly wire: WireMapping;
  /** A duplicate, as a socket would bring it; null for an unmap. */
  readonly fd: Fd | null;
  readonly done: Done;
}

interface Answer {
  readonly error: number;
  readonly done: Done;
}

/** How strictly it looks at what comes. */
export interface FrontEndRules {
  readonly maxInFlight: number;
  readonly maxMappings: number;
  readonly overlap: 'refuse' | 'replace';
  readonly unmap: 'exact' | 'range';
}

/** What `carryOut` may do instead of what was asked. */
export type Whim = 'obey' | 'refuse' | 'lose';

/** One connection to a window. */
export class LateFrontEnd implements MapTransport, Disposable {
  ready = true;
  /** Number of the map request that is being sent: set by its `before`. */
  sending = 0;
  /** Number of the request behind each mapping of the window, by shmOffset. */
  readonly ids = new Map<number, number>();
  readonly #sys: Pick<Sys, 'fd'>;
  readonly #window: Window;
  readonly #rules: FrontEndRules;
  readonly #requests: Request[] = [];
  readonly #answers: Answer[] = [];

  constructor(sys: Pick<Sys, 'fd'>, window: Window, rules: FrontEndRules) {
    this.#sys = sys;
    this.#window = window;
    this.#rules = rules;
  }

  /** Requests whose answer has not come. */
  get inFlight(): number {
    return this.#requests.length + this.#answers.length;
  }

  map(wire: WireMapping, fd: number, done: Done): void {
    this.#take({ kind: 'map', id: this.sending, wire, fd: new Fd(this.#sys.fd, this.#sys.fd.dup(fd)), done });
  }

  unmap(wire: WireMapping, done: Done): void {
    this.#take({ kind: 'unmap', id: 0, wire, fd: null, done });
  }

  /** Carries out the oldest request, or does not. @returns false when there is none */
  carryOut(whim: Whim): boolean {
    const request = this.#requests.shift();
    if (request === undefined) return false;
    const result = request.kind === 'map' ? this.#map(request, whim) : this.#unmap(request.wire, whim);
    this.#answers.push({ error: result === 0 ? 0 : -EIO, done: request.done });
    return true;
  }

  /** Gives the oldest answer. @returns false when there is none */
  answer(): boolean {
    const answer = this.#answers.shift();
    answer?.done(answer.error);
    return answer !== undefined;
  }

  /** The rings stop: what was not carried out was never sent. */
  stop(): void {
    this.ready = false;
    for (const { fd, done } of this.#requests.splice(0)) {
      fd?.close();
      done(-ECANCELED);
    }
  }

  /** A reset: all that was asked for is done, then every mapping goes. Answers may still come. */
  clear(): void {
    while (this.carryOut('obey'));
    this.#window.clear();
    this.ids.clear();
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#requests.splice(0)) fd?.close();
    this.#answers.length = 0;
  }

  #take(request: Request): void {
    must(this.ready, 'nothing is sent while the rings stand still');
    this.#requests.push(request);
    must(this.inFlight <= this.#rules.maxInFlight, `${this.inFlight} requests in flight`);
  }

  #map({ wire, fd, id }: Request, whim: Whim): number {
    using owned = fd!;
    if (whim !== 'obey') return -EIO;
    const over = this.#over(wire);
    if (over.length > 0) {
      must(this.#rules.overlap === 'replace', 'a mapping over another one');
      must(
        over.every((one) => one.shmOffset === wire.shmOffset && one.len === wire.len),
        'a mapping over a part',
      );
      for (const one of over) this.#drop(one);
    }
    const result = this.#window.map(wire, owned.dup());
    if (result === 0) {
      this.ids.set(wire.shmOffset, id);
      must(this.ids.size <= this.#rules.maxMappings, `${this.ids.size} mappings`);
    } else {
      // The region does not know of the one that had to give way: what cannot be mapped must not replace anything.
      must(over.length === 0, 'a replacement that cannot be mapped');
    }
    return result;
  }

  #unmap(wire: WireMapping, whim: Whim): number {
    const inside = this.#over(wire).filter(
      (one) => one.shmOffset >= wire.shmOffset && one.shmOffset + one.len <= wire.shmOffset + wire.len,
    );
    must(inside.length > 0, 'an unmap of nothing');
    if (this.#rules.unmap === 'exact') {
      must(inside.length === 1 && inside[0]!.len === wire.len, 'an unmap that is not exactly one mapping');
    }
    for (const one of inside) this.#drop(one);
    // A front-end that does not know a mapping has lost it.
    return whim === 'lose' ? -EIO : 0;
  }

  #over({ shmOffset, len }: WireMapping): WindowEntry[] {
    return this.#window
      .entries()
      .filter((one) => one.shmOffset < shmOffset + len && shmOffset < one.shmOffset + one.len);
  }

  #drop({ shmOffset, len, fdOffset, writable }: WindowEntry): void {
    must(this.#window.unmap({ shmid: 0, shmOffset, len, fdOffset, writable }) === 0, 'the window unmaps what it holds');
    this.ids.delete(shmOffset);
  }
}
