/** The back-end of the soak `window`: makes the requests, and holds region and window to their promises. */
import { BackendRegion, type LedgerEntry, Window } from '@oriel/shm-region';
import { testLimits } from '@oriel/shm-region/testing';
import { check, ECANCELED, EFAULT, Fd, openSys } from '@oriel/sys';
import { must, same } from '../errors.ts';
import type { Xorshift } from '../random.ts';
import type { Tally } from '../soak.ts';
import { type FrontEndRules, LateFrontEnd, type Whim } from './late-front-end.ts';
import { FILE_PAGES, FILES, PAGE, type StampedFiles } from './stamped-files.ts';

const PAGES = 16;
const STDIN = 0;
/** Requests made by callbacks at most, one in another. */
const MOST_NESTED = 3;

const sys = openSys();

const STEP = {
  map: 26,
  unmap: 10,
  unmapOwner: 4,
  unmapAll: 1,
  carryOut: 30,
  answer: 30,
  look: 10,
  hostile: 3,
  stop: 3,
  resume: 5,
  reset: 1,
  reconnect: 1,
} as const;

/** Whose mapping: which page of which file stands at its start. */
interface Owner {
  readonly file: number;
  readonly page: number;
}

export class WindowStage implements Disposable {
  readonly #random: Xorshift;
  readonly #tally: Tally;
  readonly #files: StampedFiles;
  readonly #rules: FrontEndRules;
  readonly #window: Window;
  readonly #region: BackendRegion;
  readonly #owners: Owner[];
  /** How often each request was told its result. */
  readonly #told: number[] = [];
  /** Connections that are gone, whose answers may still come. */
  readonly #old: LateFrontEnd[] = [];
  #frontEnd: LateFrontEnd;
  #nested = 0;

  constructor(random: Xorshift, tally: Tally, files: StampedFiles) {
    this.#random = random;
    this.#tally = tally;
    this.#files = files;
    this.#rules = {
      maxInFlight: random.from(1, 3),
      maxMappings: random.from(1, 8),
      overlap: random.pick(['refuse', 'replace']),
      unmap: random.pick(['exact', 'range']),
    };
    this.#owners = Array.from({ length: 6 }, () => ({ file: random.below(FILES), page: random.below(FILE_PAGES) }));
    this.#window = new Window(sys, { shmid: 0, size: PAGES * PAGE });
    this.#frontEnd = new LateFrontEnd(sys, this.#window, this.#rules);
    this.#region = new BackendRegion({ shmid: 0, size: PAGES * PAGE, limits: testLimits(this.#rules) });
    this.#region.setTransport(this.#frontEnd);
  }

  step(): void {
    const random = this.#random;
    const step = random.weighted(STEP);
    if (step !== 'carryOut' && step !== 'answer' && step !== 'look') this.#tally.did(step);
    switch (step) {
      case 'carryOut':
        this.#frontEnd.carryOut(this.#whim());
        break;
      case 'answer':
        (this.#old.length > 0 && random.once(2) ? random.pick(this.#old) : this.#frontEnd).answer();
        break;
      case 'look':
        this.#look();
        break;
      case 'hostile':
        this.#hostile();
        break;
      case 'stop':
        this.#frontEnd.stop();
        this.#region.suspend();
        break;
      case 'resume':
        this.#frontEnd.ready = true;
        this.#region.resume();
        break;
      case 'reset':
        this.#frontEnd.clear(random.once(2));
        this.#region.forget();
        break;
      case 'reconnect':
        this.#reconnect();
        break;
      default:
        this.#request(step);
    }
    this.#checkLedger();
  }

  /** Lets everything come to rest, and compares. */
  settle(): void {
    this.#nested = MOST_NESTED;
    for (const old of this.#old) while (old.answer());
    this.#frontEnd.ready = true;
    this.#region.resume();
    while (this.#frontEnd.inFlight > 0) {
      this.#frontEnd.carryOut('obey');
      this.#frontEnd.answer();
    }
    const text = (entries: readonly Pick<LedgerEntry, 'shmOffset' | 'len' | 'fdOffset'>[]): string =>
      entries.map(({ shmOffset, len, fdOffset }) => `${shmOffset}+${len}=${fdOffset}`).join(' ');
    const entries = this.#region.entries();
    must(
      entries.every(({ state }) => state === 'live'),
      'at rest every mapping is live',
    );
    same('the window', text(this.#window.entries()), text(entries));
    same('mapped', this.#region.stats.mapped, entries.length);
    same(
      'mappedBytes',
      this.#region.stats.mappedBytes,
      entries.reduce((sum, { len }) => sum + len, 0),
    );
    for (const entry of entries) this.#see(entry);
    for (const [id, times] of this.#told.entries()) same(`times that request ${id} was told`, times, 1);
  }

  [Symbol.dispose](): void {
    for (const old of this.#old) old[Symbol.dispose]();
    this.#frontEnd[Symbol.dispose]();
    this.#window[Symbol.dispose]();
  }

  #whim(): Whim {
    return this.#random.weighted({ obey: 12, refuse: 1, lose: 1 });
  }

  #request(kind: 'map' | 'unmap' | 'unmapOwner' | 'unmapAll'): void {
    const random = this.#random;
    const [page, pages] = [random.below(PAGES + 1), random.below(5)];
    const [shmOffset, len] = [page * PAGE, pages * PAGE];
    switch (kind) {
      case 'map':
        this.#map(random.once(30) ? shmOffset + 1 : shmOffset, len);
        break;
      case 'unmap': {
        const inside = (at: number, bytes: number): boolean => at >= shmOffset && at + bytes <= shmOffset + len;
        this.#region.unmap(shmOffset, len, this.#unmapped(inside));
        break;
      }
      case 'unmapOwner': {
        const owner = random.pick(this.#owners);
        this.#region.unmapOwner(owner, this.#ask('unmap'));
        break;
      }
      case 'unmapAll':
        this.#region.unmapAll(this.#unmapped(() => true));
        break;
    }
  }

  #map(shmOffset: number, len: number): void {
    const random = this.#random;
    const owner = random.pick(this.#owners);
    const writable = !random.once(4);
    // Past the end of the file, or not open for writing: the window refuses it. Where mappings replace each other it must not.
    const strict = this.#rules.overlap === 'replace';
    const fits = owner.page * PAGE + len <= FILE_PAGES * PAGE;
    if (strict && !fits) return;
    const fd = writable && !strict && random.once(15) ? this.#files.readOnlyFd(owner.file) : this.#files.fd(owner.file);
    const id = this.#told.length;
    const fails = random.once(12);
    const told = this.#ask('map');
    let returned = false;
    const request = { fd, fdOffset: owner.page * PAGE, shmOffset, len, writable, owner, label: `request ${id}` };
    const before = (): number => {
      this.#frontEnd.sending = id;
      return fails ? -5 : 0;
    };
    this.#region.map({ ...request, before }, (error) => {
      if (error === 0) {
        must(returned, 'a mapping is confirmed later, never inside the call');
        same('the request behind a confirmed mapping', this.#frontEnd.ids.get(shmOffset), id);
        this.#see({ shmOffset, len, fdOffset: owner.page * PAGE, owner, writable });
      }
      told(error);
    });
    returned = true;
  }

  /** A result for somebody who is told once, and may then ask for more. */
  #ask(what: 'map' | 'unmap'): (error: number) => void {
    const id = this.#told.push(0) - 1;
    return (error) => {
      this.#told[id]!++;
      this.#tally.saw(error === 0 ? `${what}ped` : `${what} ${error === -ECANCELED ? 'cancelled' : 'refused'}`);
      if (this.#nested >= MOST_NESTED || !this.#random.once(6)) return;
      this.#nested++;
      this.#tally.did('nested');
      this.#request(this.#random.pick(['map', 'map', 'unmap', 'unmapOwner']));
      this.#nested--;
    };
  }

  /** `done` of an unmap: nothing of what was asked for before is left in the window. */
  #unmapped(wantedRange: (shmOffset: number, len: number) => boolean): (error: number) => void {
    const id = this.#told.length;
    const told = this.#ask('unmap');
    return (error) => {
      if (error === 0) {
        for (const { shmOffset, len } of this.#window.entries()) {
          const older = this.#frontEnd.ids.get(shmOffset)! < id;
          must(!older || !wantedRange(shmOffset, len), `a mapping at ${shmOffset} is left after its unmap`);
        }
      }
      told(error);
    };
  }

  /** The guest looks at a place of the window, which the ledger calls live or free. */
  #look(): void {
    const entry = this.#random.pick([...this.#region.entries(), null]);
    if (entry === null) {
      const page = this.#random.below(PAGES);
      const mapped = this.#window.entries().some(({ shmOffset, len }) => {
        return shmOffset <= page * PAGE && page * PAGE < shmOffset + len;
      });
      const got = this.#window.read(page * PAGE, new Uint8Array(8));
      same('a look at a page', got, mapped ? 8 : -EFAULT);
    } else if (entry.state === 'live') {
      this.#see(entry as LedgerEntry & { owner: Owner });
    }
  }

  /** Every page of a mapping is the file's, and what is stored in it is in the file. */
  #see(entry: Pick<LedgerEntry, 'shmOffset' | 'len' | 'fdOffset' | 'writable' | 'owner'>): void {
    const { file } = entry.owner as Owner;
    const bytes = new Uint8Array(4);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < entry.len; at += PAGE) {
      const page = (entry.fdOffset + at) / PAGE;
      same('bytes read', this.#window.read(entry.shmOffset + at, bytes), bytes.length);
      same('the page seen', view.getUint32(0, true), this.#files.stamp(file, page));
      this.#tally.saw('seen');
    }
    const page = entry.fdOffset / PAGE;
    const before = this.#files.word(file, page);
    view.setUint32(0, this.#random.u32(), true);
    const stored = this.#window.write(entry.shmOffset + PAGE / 2, bytes);
    same('bytes stored', stored, entry.writable ? bytes.length : -EFAULT);
    same('the word in the file', this.#files.word(file, page), entry.writable ? view.getUint32(0, true) : before);
    this.#tally.saw('stored');
  }

  /** A request that no region would send: the window refuses it, or does exactly what it says. */
  #hostile(): void {
    const random = this.#random;
    const odd = (): number =>
      random.pick([
        0,
        1,
        PAGE,
        PAGE * random.below(2 * PAGES),
        2 ** 52,
        2 ** 53 - PAGE,
        random.u32(),
        -PAGE,
        Number.NaN,
      ]);
    const shmid = random.once(4) ? 1 : 0;
    const wire = { shmid, fdOffset: odd(), shmOffset: odd(), len: odd(), writable: random.once(2) };
    const before = this.#window.entries().length;
    if (random.once(2)) {
      const fd = random.pick([this.#files.fd(0), this.#files.readOnlyFd(1), STDIN]);
      if (this.#window.map(wire, new Fd(sys.fd, check(sys.fd.dup(fd), 'dup'))) === 0) {
        same('mappings', this.#window.entries().length, before + 1);
        same('unmap', this.#window.unmap(wire), 0);
      }
    } else if (!this.#window.entries().some(({ shmOffset, len }) => shmOffset === wire.shmOffset && len === wire.len)) {
      must(this.#window.unmap(wire) < 0, 'an unmap of what is not there is refused');
    }
    same('mappings', this.#window.entries().length, before);
  }

  /** The front-end goes, with everything in its window, and another comes. */
  #reconnect(): void {
    this.#frontEnd.clear(false);
    this.#old.push(this.#frontEnd);
    this.#frontEnd = new LateFrontEnd(sys, this.#window, this.#rules);
    this.#region.setTransport(this.#frontEnd);
    this.#region.resume();
  }

  /** Only a mapping that waits for its turn may lie over another. */
  #checkLedger(): void {
    const entries = this.#region.entries();
    for (let at = 1; at < entries.length; at++) {
      const [before, entry] = [entries[at - 1]!, entries[at]!];
      const apart = before.shmOffset + before.len <= entry.shmOffset;
      must(apart || before.state === 'mapping' || entry.state === 'mapping', `two mappings at ${entry.shmOffset}`);
    }
    must(this.#region.stats.mapped <= this.#rules.maxMappings, `${this.#region.stats.mapped} mappings`);
  }
}
