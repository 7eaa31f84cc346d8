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
  /** It was not answered at a reset: nobody but us knows whether it came before or after. */
  acrossReset: boolean;
  /** Once it was carried out, or refused. */
  error: number;
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
  readonly #answers: Request[] = [];
  /** Maps that were answered with success across a reset, by place: an unmap of each may find nothing. */
  readonly #strays = new Map<string, number>();

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
    const duplicate = new Fd(this.#sys.fd, this.#sys.fd.dup(fd));
    this.#take({ kind: 'map', id: this.sending, wire, fd: duplicate, done, acrossReset: false, error: 0 });
  }

  unmap(wire: WireMapping, done: Done): void {
    this.#take({ kind: 'unmap', id: 0, wire, fd: null, done, acrossReset: false, error: 0 });
  }

  /** Carries out the oldest request, or does not. @returns false when there is none */
  carryOut(whim: Whim): boolean {
    const request = this.#requests.shift();
    if (request === undefined) return false;
    const result = request.kind === 'map' ? this.#map(request, whim) : this.#unmap(request, whim);
    request.error = result === 0 ? 0 : -EIO;
    this.#answers.push(request);
    return true;
  }

  /** Gives the oldest answer. @returns false when there is none */
  answer(): boolean {
    const request = this.#answers.shift();
    if (request === undefined) return false;
    const { kind, wire, error, acrossReset, done } = request;
    if (acrossReset && kind === 'map' && error === 0) this.#strays.set(key(wire), this.#straysAt(wire) + 1);
    done(error);
    return true;
  }

  /** The rings stop: what was not carried out was never sent. */
  stop(): void {
    this.ready = false;
    for (const { fd, done } of this.#requests.splice(0)) {
      fd?.close();
      done(-ECANCELED);
    }
  }

  /**
   * A reset: every mapping goes. Answers may still come, and what was asked for may still be done behind it.
   * @param mapsBehind - requests wait until after the reset, instead of being carried out before it
   */
  clear(mapsBehind: boolean): void {
    if (!mapsBehind) while (this.carryOut('obey'));
    this.#window.clear();
    this.ids.clear();
    for (const request of [...this.#requests, ...this.#answers]) request.acrossReset = true;
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

  #map({ wire, fd, id, acrossReset }: Request, whim: Whim): number {
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
      // Nobody asks for it any more: it is no request's mapping.
      this.ids.set(wire.shmOffset, acrossReset ? Number.POSITIVE_INFINITY : id);
      must(this.ids.size <= this.#rules.maxMappings, `${this.ids.size} mappings`);
    } else {
      // The region does not know of the one that had to give way: what cannot be mapped must not replace anything.
      must(over.length === 0, 'a replacement that cannot be mapped');
    }
    return result;
  }

  #unmap({ wire, acrossReset }: Request, whim: Whim): number {
    const inside = this.#over(wire).filter(
      (one) => one.shmOffset >= wire.shmOffset && one.shmOffset + one.len <= wire.shmOffset + wire.len,
    );
    if (inside.length === 0) {
      const strays = this.#straysAt(wire);
      must(acrossReset || strays > 0, 'an unmap of nothing');
      if (!acrossReset) this.#strays.set(key(wire), strays - 1);
      return -EIO;
    }
    if (this.#rules.unmap === 'exact') {
      must(inside.length === 1 && inside[0]!.len === wire.len, 'an unmap that is not exactly one mapping');
    }
    for (const one of inside) this.#drop(one);
    // A front-end that does not know a mapping has lost it.
    return whim === 'lose' ? -EIO : 0;
  }

  #straysAt(wire: WireMapping): number {
    return this.#strays.get(key(wire)) ?? 0;
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

function key({ shmOffset, len }: WireMapping): string {
  return `${shmOffset}+${len}`;
}
