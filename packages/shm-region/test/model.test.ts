import { BackendRegion, type MapTransport, type WireMapping } from '@oriel/shm-region';
import { testLimits } from '@oriel/shm-region/testing';
import { ECANCELED, EIO } from '@oriel/sys';
import { expect } from 'chai';
import fc from 'fast-check';
import { PAGE } from './helpers.ts';

const PAGES = 12;
const OWNERS = [{}, {}, {}] as const;

interface Held {
  readonly shmOffset: number;
  readonly len: number;
  /** The sequence number of the request, carried as its descriptor. */
  readonly fd: number;
}

interface Options {
  readonly maxInFlight: number;
  readonly maxMappings: number;
  readonly overlap: 'refuse' | 'replace';
  readonly unmap: 'exact' | 'range';
}

/** A front-end of the simplest kind, which fails the test on any request that a strict front-end would refuse. */
class ModelFrontEnd implements MapTransport {
  ready = true;
  held: Held[] = [];
  readonly #options: Options;
  readonly #requests: ((outcome: number) => void)[] = [];

  constructor(options: Options) {
    this.#options = options;
  }

  get pending(): number {
    return this.#requests.length;
  }

  map(wire: WireMapping, fd: number, done: (error: number) => void): void {
    this.#take((outcome) => {
      const over = this.held.filter((held) => overlap(held, wire));
      if (over.length > 0) {
        expect(this.#options.overlap).to.equal('replace');
        expect(over.map(({ shmOffset, len }) => [shmOffset, len])).to.deep.equal([[wire.shmOffset, wire.len]]);
      }
      if (outcome === 0) {
        this.held = this.held.filter((held) => !over.includes(held));
        this.held.push({ shmOffset: wire.shmOffset, len: wire.len, fd });
        expect(this.held.length).to.be.at.most(this.#options.maxMappings);
      }
      done(outcome);
    });
  }

  unmap(wire: WireMapping, done: (error: number) => void): void {
    this.#take((outcome) => {
      const named = this.held.filter((held) => inside(held, wire));
      expect(named.length).to.be.at.least(1);
      if (this.#options.unmap === 'exact') {
        expect(named.map(({ shmOffset, len }) => [shmOffset, len])).to.deep.equal([[wire.shmOffset, wire.len]]);
      }
      // A front-end that refuses an unmap is one that has lost the mapping.
      if (outcome !== -ECANCELED) {
        this.held = this.held.filter((held) => !named.includes(held));
      }
      done(outcome);
    });
  }

  /** Carries out the oldest request: 0; -EIO: refuses it; -ECANCELED: it was never sent. */
  answer(outcome: number): void {
    this.#requests.shift()?.(outcome);
  }

  #take(request: (outcome: number) => void): void {
    expect(this.ready, 'sent while not ready').to.equal(true);
    this.#requests.push(request);
    expect(this.#requests.length).to.be.at.most(this.#options.maxInFlight);
  }
}

function overlap(a: { shmOffset: number; len: number }, b: { shmOffset: number; len: number }): boolean {
  return a.shmOffset < b.shmOffset + b.len && b.shmOffset < a.shmOffset + a.len;
}

function inside(a: { shmOffset: number; len: number }, b: { shmOffset: number; len: number }): boolean {
  return a.shmOffset >= b.shmOffset && a.shmOffset + a.len <= b.shmOffset + b.len;
}

const page = fc.nat({ max: PAGES });
const pages = fc.nat({ max: 4 });
const owner = fc.nat({ max: OWNERS.length - 1 });
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('map' as const), page, pages, owner, fails: fc.nat({ max: 9 }) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('unmap' as const), page, pages }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('unmapOwner' as const), owner }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unmapAll' as const) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      outcome: fc.constantFrom(0, 0, 0, 0, -EIO, -ECANCELED),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('suspend' as const, 'resume' as const, 'resume' as const) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('reset' as const, 'reconnect' as const) }) },
);
const options = fc.record({
  maxInFlight: fc.integer({ min: 1, max: 3 }),
  maxMappings: fc.integer({ min: 1, max: 5 }),
  overlap: fc.constantFrom('refuse' as const, 'replace' as const),
  unmap: fc.constantFrom('exact' as const, 'range' as const),
});

describe('BackendRegion against a model of the front-end', () => {
  it('never sends what a strict front-end refuses, answers everybody once, and agrees at the end', () => {
    fc.assert(
      fc.property(options, fc.array(step, { maxLength: 80, size: 'max' }), (limits, steps) => {
        let frontEnd = new ModelFrontEnd(limits);
        const region = new BackendRegion({ shmid: 0, size: PAGES * PAGE, limits: testLimits(limits) });
        region.setTransport(frontEnd);
        const owners = new Map<number, object>();
        const told = new Map<number, number>();
        let sequence = 0;

        const request = (): number => {
          sequence += 1;
          told.set(sequence, 0);
          return sequence;
        };
        const tell = (id: number) => told.set(id, told.get(id)! + 1);
        const map = (shmOffset: number, len: number, by: object, fails: boolean) => {
          const id = request();
          owners.set(id, by);
          let returned = false;
          const before = () => (fails ? -5 : 0);
          const request2 = { fd: id, fdOffset: 0, shmOffset, len, writable: true, owner: by, label: '', before };
          region.map(request2, (error) => {
            tell(id);
            if (error === 0) {
              expect(returned, 'called back inside the call').to.equal(true);
              expect(frontEnd.held.some(({ fd }) => fd === id)).to.equal(true);
            } else if (error !== -ECANCELED) {
              expect(frontEnd.held.some(({ fd }) => fd === id)).to.equal(false);
            }
          });
          returned = true;
        };
        const unmapped = (wanted: (held: Held) => boolean) => {
          const id = request();
          return (error: number) => {
            tell(id);
            if (error === 0) {
              expect(frontEnd.held.filter((held) => held.fd < id && wanted(held))).to.deep.equal([]);
            }
          };
        };

        for (const action of steps) {
          switch (action.kind) {
            case 'map':
              map(action.page * PAGE, action.pages * PAGE, OWNERS[action.owner]!, action.fails === 0);
              break;
            case 'unmap': {
              const range = { shmOffset: action.page * PAGE, len: action.pages * PAGE };
              region.unmap(
                range.shmOffset,
                range.len,
                unmapped((held) => inside(held, range)),
              );
              break;
            }
            case 'unmapOwner': {
              const by = OWNERS[action.owner]!;
              region.unmapOwner(
                by,
                unmapped(({ fd }) => owners.get(fd) === by),
              );
              break;
            }
            case 'unmapAll':
              region.unmapAll(unmapped(() => true));
              break;
            case 'answer':
              frontEnd.answer(action.outcome);
              break;
            case 'suspend':
              region.suspend();
              frontEnd.ready = false;
              break;
            case 'resume':
              frontEnd.ready = true;
              region.resume();
              break;
            case 'reset':
              // As a front-end profile decides at the next start: by then nothing is in flight.
              while (frontEnd.pending > 0) {
                frontEnd.answer(0);
              }
              frontEnd.held = [];
              region.forget();
              break;
            case 'reconnect':
              frontEnd = new ModelFrontEnd(limits);
              region.setTransport(frontEnd);
              region.resume();
              break;
          }
          const entries = region.entries();
          entries.forEach((entry, index) => {
            for (const other of entries.slice(index + 1)) {
              if (overlap(entry, other)) {
                expect([entry.state, other.state]).to.include('mapping');
              }
            }
          });
          expect(region.stats.mapped).to.equal(frontEnd.held.length);
        }

        frontEnd.ready = true;
        region.resume();
        while (frontEnd.pending > 0) {
          frontEnd.answer(0);
        }
        expect([...told.values()].every((times) => times === 1)).to.equal(true);
        const expected = frontEnd.held.map(({ shmOffset, len }) => [shmOffset, len, 'live']);
        expected.sort(([a], [b]) => (a as number) - (b as number));
        expect(region.entries().map(({ shmOffset, len, state }) => [shmOffset, len, state])).to.deep.equal(expected);
        expect(region.stats.mappedBytes).to.equal(frontEnd.held.reduce((sum, { len }) => sum + len, 0));
      }),
      { numRuns: 1000 },
    );
  });
});
