import { BackendRegion, type ShmRegionError } from '@oriel/shm-region';
import { testLimits } from '@oriel/shm-region/testing';
import { EBADF, ECANCELED, EEXIST, EINVAL, EIO, ENOENT, ENOSPC } from '@oriel/sys';
import { expect } from 'chai';
import { PAGE, setUp } from './helpers.ts';

describe('BackendRegion', () => {
  describe('construction', () => {
    it('refuses sizes and limits that make no sense', () => {
      const make = (size: number, changes = {}) => {
        try {
          new BackendRegion({ shmid: 0, size, limits: testLimits(changes) });
        } catch (error) {
          return (error as ShmRegionError).code;
        }
        return 'made';
      };
      expect(make(PAGE)).to.equal('made');
      expect(make(0)).to.equal('ERR_SHM_SIZE');
      expect(make(PAGE + 1)).to.equal('ERR_SHM_SIZE');
      expect(make(2 ** 53)).to.equal('ERR_SHM_SIZE');
      expect(make(PAGE, { pageSize: 4095 })).to.equal('ERR_SHM_LIMITS');
      expect(make(PAGE, { pageSize: 0 })).to.equal('ERR_SHM_LIMITS');
      expect(make(PAGE, { maxMappings: 0 })).to.equal('ERR_SHM_LIMITS');
      expect(make(PAGE, { maxInFlight: Number.NaN })).to.equal('ERR_SHM_LIMITS');
    });
  });

  describe('map', () => {
    it('sends the mapping, answers later, and commits', () => {
      const { region, transport, map, told, ledger } = setUp();
      map('a', 2, 3, { fdOffset: 5 * PAGE, writable: false });
      expect(told).to.deep.equal([]);
      expect(ledger()).to.deep.equal(['a@2+3 mapping']);
      expect(region.stats.mapped).to.equal(0);
      expect(transport.sent).to.deep.equal([
        {
          kind: 'map',
          wire: { shmid: 1, fdOffset: 5 * PAGE, shmOffset: 2 * PAGE, len: 3 * PAGE, writable: false },
          fd: 7,
        },
      ]);
      transport.answer();
      expect(told).to.deep.equal(['a 0']);
      expect(ledger()).to.deep.equal(['a@2+3 live']);
      expect(region.stats).to.deep.equal({ mapped: 1, mappedBytes: 3 * PAGE, maps: 1, unmaps: 0, refused: 0 });
    });

    it('refuses what is out of range, unaligned or without a descriptor, at once and without a trace', () => {
      const { region, transport, map, told, ledger } = setUp();
      const cases: [Record<string, number>, number][] = [
        [{ len: 0 }, EINVAL],
        [{ len: -PAGE }, EINVAL],
        [{ len: PAGE + 1 }, EINVAL],
        [{ len: 17 * PAGE }, EINVAL],
        [{ len: Number.NaN }, EINVAL],
        [{ shmOffset: -PAGE }, EINVAL],
        [{ shmOffset: 100 }, EINVAL],
        [{ shmOffset: 16 * PAGE }, EINVAL],
        [{ shmOffset: 15 * PAGE, len: 2 * PAGE }, EINVAL],
        [{ shmOffset: 2 ** 53 - PAGE, len: PAGE }, EINVAL],
        [{ shmOffset: 2 ** 64 - PAGE, len: 2 * PAGE }, EINVAL],
        [{ fdOffset: 1 }, EINVAL],
        [{ fdOffset: -PAGE }, EINVAL],
        [{ fdOffset: 2 ** 53 }, EINVAL],
        [{ fdOffset: 2 ** 53 - PAGE, len: 2 * PAGE }, EINVAL],
        [{ fd: -1 }, EBADF],
        [{ fd: 1.5 }, EBADF],
      ];
      for (const [change, errno] of cases) {
        map('bad', 0, 1, change);
        expect(told.pop(), JSON.stringify(change)).to.equal(`bad ${-errno}`);
      }
      expect(ledger()).to.deep.equal([]);
      expect(transport.sent).to.deep.equal([]);
      expect(region.stats.refused).to.equal(cases.length);
      map('whole', 0, 16);
      transport.answer();
      expect(told).to.deep.equal(['whole 0']);
    });

    it('refuses any overlap with what is mapped or on its way', () => {
      const { transport, map, told, sent } = setUp();
      map('live', 4, 4);
      transport.answer();
      map('sent', 8, 2);
      map('waits', 10, 2);
      told.length = 0;
      for (const [page, pages] of [
        [4, 4],
        [3, 2],
        [7, 1],
        [5, 1],
        [0, 16],
        [9, 1],
        [11, 2],
      ] as const) {
        map('late', page, pages);
        expect(told.pop(), `${page}+${pages}`).to.equal(`late ${-EEXIST}`);
      }
      map('before', 3, 1);
      map('after', 12, 1);
      transport.answerAll();
      expect(told).to.deep.equal(['sent 0', 'waits 0', 'before 0', 'after 0']);
      expect(sent()).to.deep.equal(['map 4+4', 'map 8+2', 'map 10+2', 'map 3+1', 'map 12+1']);
    });

    it('refuses what exceeds the budget, counting what waits', () => {
      const { region, transport, map, unmap, told } = setUp({ maxMappings: 3 });
      map('a', 0, 1);
      map('b', 1, 1);
      map('c', 2, 1);
      map('d', 3, 1);
      expect(told).to.deep.equal([`d ${-ENOSPC}`]);
      transport.answerAll();
      unmap('u', 0, 1);
      map('d', 3, 1);
      expect(transport.inFlight.map(({ kind }) => kind)).to.deep.equal(['unmap']);
      transport.answerAll();
      expect(told.slice(1)).to.deep.equal(['a 0', 'b 0', 'c 0', 'u 0', 'd 0']);
      expect(region.stats.mapped).to.equal(3);
    });

    it('holds back what would exceed the budget while the unmap is in flight', () => {
      const { transport, map, unmap, sent } = setUp({ maxMappings: 1, maxInFlight: 4 });
      map('a', 0, 1);
      transport.answer();
      unmap('u', 0, 1);
      map('b', 5, 1);
      expect(sent()).to.deep.equal(['map 0+1', 'unmap 0+1']);
      transport.answer();
      expect(sent()).to.deep.equal(['map 0+1', 'unmap 0+1', 'map 5+1']);
    });

    it('leaves no trace of what the front-end refused', () => {
      const { region, transport, map, told, ledger } = setUp();
      map('a', 0, 2);
      transport.answer(-EIO);
      expect(told).to.deep.equal([`a ${-EIO}`]);
      expect(ledger()).to.deep.equal([]);
      expect(region.stats).to.deep.equal({ mapped: 0, mappedBytes: 0, maps: 0, unmaps: 0, refused: 1 });
      map('b', 0, 2);
      transport.answer();
      expect(told).to.deep.equal([`a ${-EIO}`, 'b 0']);
    });

    it('sends in order, and no more at a time than the front-end bears', () => {
      const one = setUp();
      const three = setUp({ maxInFlight: 3 });
      for (const { transport, map, told } of [one, three]) {
        for (let page = 0; page < 6; page += 1) {
          map(`m${page}`, page, 1);
        }
        transport.answerAll();
        expect(told).to.deep.equal(['m0 0', 'm1 0', 'm2 0', 'm3 0', 'm4 0', 'm5 0']);
      }
      expect(one.transport.mostInFlight).to.equal(1);
      expect(three.transport.mostInFlight).to.equal(3);
      expect(one.sent()).to.deep.equal(three.sent());
    });

    it('asks `before` when the turn has come, and gives up on its error', () => {
      const { region, transport, map, told, ledger, sent } = setUp();
      const asked: string[] = [];
      const before = (name: string, error: number) => () => {
        asked.push(`${name} after ${transport.sent.length} sent`);
        return error;
      };
      map('a', 0, 1, { before: before('a', 0) });
      map('b', 1, 1, { before: before('b', -ENOENT) });
      map('c', 2, 1, { before: before('c', 0) });
      expect(asked).to.deep.equal(['a after 0 sent']);
      transport.answerAll();
      expect(asked).to.deep.equal(['a after 0 sent', 'b after 1 sent', 'c after 1 sent']);
      expect(told).to.deep.equal(['a 0', `b ${-ENOENT}`, 'c 0']);
      expect(sent()).to.deep.equal(['map 0+1', 'map 2+1']);
      expect(ledger()).to.deep.equal(['a@0+1 live', 'c@2+1 live']);
      expect(region.stats.refused).to.equal(1);
    });

    it('bears a `before` that unmaps, suspends or forgets the request itself', () => {
      for (const ending of ['unmapAll', 'suspend', 'forget'] as const) {
        const { region, transport, map, told, ledger } = setUp();
        const before = () => {
          if (ending === 'unmapAll') {
            region.unmapAll(() => {});
          } else {
            region[ending]();
          }
          return 0;
        };
        map('a', 0, 1, { before });
        expect(told, ending).to.deep.equal([`a ${-ECANCELED}`]);
        expect(transport.sent, ending).to.deep.equal([]);
        expect(ledger(), ending).to.deep.equal([]);
      }
    });

    it('lets callbacks make requests', () => {
      const { region, transport, told, tell, ledger } = setUp();
      const place = { fd: 3, fdOffset: 0, len: PAGE, writable: true, owner: {} };
      region.map({ ...place, shmOffset: 0, label: 'a' }, (error) => {
        told.push(`a ${error}`);
        region.unmap(0, PAGE, tell('gone'));
        region.map({ ...place, shmOffset: 0, label: 'b' }, tell('b'));
        region.map({ ...place, shmOffset: 0, label: 'c' }, tell('c'));
      });
      transport.answerAll();
      expect(told).to.deep.equal(['a 0', `c ${-EEXIST}`, 'gone 0', 'b 0']);
      expect(ledger()).to.deep.equal(['b@0+1 live']);
    });

    it('goes on when a callback throws', () => {
      const { region, transport, map, told } = setUp();
      const place = { fd: 3, fdOffset: 0, len: PAGE, writable: true, owner: {} };
      region.map({ ...place, shmOffset: 0, label: 'a' }, () => {
        throw new Error('of the caller');
      });
      map('b', 1, 1);
      expect(() => transport.answer()).to.throw('of the caller');
      transport.answerAll();
      expect(told).to.deep.equal(['b 0']);
    });
  });

  describe('what a process before mapped', () => {
    const place = (page: number, pages: number) => ({
      fdOffset: 0,
      shmOffset: page * PAGE,
      len: pages * PAGE,
      writable: true,
    });
    const request = (name: string, page: number, pages: number) => ({
      ...place(page, pages),
      fd: 7,
      owner: { name },
      label: name,
    });

    it('is taken up without a message, counts, and goes like any other', () => {
      const { region, transport, unmap, told, ledger, sent } = setUp();
      expect(region.adopt(request('a', 2, 3))).to.equal(0);
      expect(region.adopt(request('b', 5, 1))).to.equal(0);
      expect(ledger()).to.deep.equal(['a@2+3 live', 'b@5+1 live']);
      expect(region.stats).to.include({ mapped: 2, mappedBytes: 4 * PAGE });
      expect(sent()).to.deep.equal([]);
      unmap('a', 2, 3);
      transport.answer();
      expect(told).to.deep.equal(['a 0']);
      expect(sent()).to.deep.equal(['unmap 2+3']);
      expect(ledger()).to.deep.equal(['b@5+1 live']);
    });

    it('is refused where it cannot be', () => {
      const { region, ledger } = setUp({ maxMappings: 1 });
      expect(region.adopt(request('far', 16, 1))).to.equal(-EINVAL);
      expect(region.adopt(request('a', 2, 3))).to.equal(0);
      expect(region.adopt(request('over', 4, 1))).to.equal(-EEXIST);
      expect(region.adopt(request('more', 8, 1))).to.equal(-ENOSPC);
      expect(ledger()).to.deep.equal(['a@2+3 live']);
    });

    it('is unmapped before anything else when nobody knows whether it was made', () => {
      const { region, transport, map, told, sent } = setUp();
      region.unmapUncertain(place(2, 3));
      map('a', 2, 3);
      expect(sent()).to.deep.equal(['unmap 2+3']);
      transport.answer(-EIO);
      expect(sent()).to.deep.equal(['unmap 2+3', 'map 2+3']);
      transport.answer();
      expect(told).to.deep.equal(['a 0']);
    });

    it('is left alone where the next mapping replaces it', () => {
      const { region, sent } = setUp({ overlap: 'replace' });
      region.unmapUncertain(place(2, 3));
      expect(sent()).to.deep.equal([]);
    });
  });

  describe('entries', () => {
    it('lists what lies wholly inside a range, in order', () => {
      const { region, transport, map } = setUp();
      map('c', 8, 2);
      map('a', 0, 2);
      map('b', 4, 2);
      transport.answerAll();
      const labels = (offset?: number, len?: number) => region.entries(offset, len).map(({ label }) => label);
      expect(labels()).to.deep.equal(['a', 'b', 'c']);
      expect(labels(4 * PAGE)).to.deep.equal(['b', 'c']);
      expect(labels(0, 6 * PAGE)).to.deep.equal(['a', 'b']);
      expect(labels(PAGE, 8 * PAGE)).to.deep.equal(['b']);
    });
  });
});
