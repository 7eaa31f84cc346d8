import { MockTransport } from '@oriel/shm-region/testing';
import { ECANCELED, EIO } from '@oriel/sys';
import { expect } from 'chai';
import { PAGE, setUp } from './helpers.ts';

const CANCELED = -ECANCELED;

describe('BackendRegion between stop and start', () => {
  describe('suspend', () => {
    it('cancels maps that were not sent, without a trace', () => {
      const { region, transport, map, told, ledger, sent } = setUp();
      map('sent', 0, 1);
      map('waits', 1, 1);
      region.suspend();
      expect(told).to.deep.equal([`waits ${CANCELED}`]);
      expect(ledger()).to.deep.equal(['sent@0+1 mapping']);
      region.resume();
      transport.answerAll();
      expect(sent()).to.deep.equal(['map 0+1']);
    });

    it('commits the late answer of what was sent, and tells its caller once', () => {
      const { region, transport, map, told, ledger } = setUp();
      map('a', 0, 1);
      region.suspend();
      region.suspend();
      expect(told).to.deep.equal([]);
      transport.ready = false;
      transport.answer();
      expect(told).to.deep.equal(['a 0']);
      expect(ledger()).to.deep.equal(['a@0+1 live']);
      transport.ready = true;
      region.resume();
      expect(told).to.deep.equal(['a 0']);
      map('b', 0, 1);
      expect(told.at(-1)).to.contain('b -17');
    });

    it('drops what was sent when the late answer is a refusal', () => {
      const { region, transport, map, told, ledger } = setUp();
      map('a', 0, 1);
      region.suspend();
      transport.answer(-EIO);
      expect(told).to.deep.equal([`a ${-EIO}`]);
      expect(ledger()).to.deep.equal([]);
    });

    it('ends the wait of an unmap that was not sent, which stays due and goes first at resume', () => {
      const { region, transport, map, unmap, told, ledger, sent } = setUp();
      map('a', 0, 1);
      transport.answer();
      map('busy', 1, 1);
      unmap('u', 0, 1);
      region.suspend();
      expect(told).to.deep.equal(['a 0', `u ${CANCELED}`]);
      expect(ledger()).to.deep.equal(['a@0+1 unmapping', 'busy@1+1 mapping']);
      transport.answer();
      expect(sent()).to.deep.equal(['map 0+1', 'map 1+1']);
      region.resume();
      map('again', 0, 1);
      transport.answerAll();
      expect(sent()).to.deep.equal(['map 0+1', 'map 1+1', 'unmap 0+1', 'map 0+1']);
      expect(told).to.deep.equal(['a 0', `u ${CANCELED}`, 'busy 0', 'again 0']);
    });

    it('lets an unmap that was sent end by its late answer', () => {
      const { region, transport, map, unmap, told, ledger } = setUp();
      map('a', 0, 1);
      transport.answer();
      unmap('u', 0, 1);
      region.suspend();
      expect(told).to.deep.equal(['a 0']);
      expect(ledger()).to.deep.equal(['a@0+1 unmapping']);
      transport.answer();
      expect(told).to.deep.equal(['a 0', 'u 0']);
      expect(ledger()).to.deep.equal([]);
    });

    it('ends the wait of an unmap of which a part was sent, once', () => {
      const { region, transport, map, unmap, told, sent } = setUp();
      map('a', 0, 1);
      map('b', 1, 1);
      transport.answerAll();
      unmap('u', 0, 2);
      region.suspend();
      expect(told).to.deep.equal(['a 0', 'b 0', `u ${CANCELED}`]);
      transport.answer();
      region.resume();
      transport.answerAll();
      expect(told).to.deep.equal(['a 0', 'b 0', `u ${CANCELED}`]);
      expect(sent().slice(2)).to.deep.equal(['unmap 0+1', 'unmap 1+1']);
    });

    it('keeps an unmap due that the transport did not send after all', () => {
      const { region, transport, map, unmap, told, ledger, sent } = setUp();
      map('a', 0, 1);
      transport.answer();
      unmap('u', 0, 1);
      transport.ready = false;
      transport.answer(CANCELED);
      expect(told).to.deep.equal(['a 0', `u ${CANCELED}`]);
      expect(ledger()).to.deep.equal(['a@0+1 unmapping']);
      unmap('again', 0, 1);
      transport.ready = true;
      region.resume();
      transport.answerAll();
      expect(told).to.deep.equal(['a 0', `u ${CANCELED}`, 'again 0']);
      expect(sent()).to.deep.equal(['map 0+1', 'unmap 0+1', 'unmap 0+1']);
      expect(region.stats).to.include({ mapped: 0, unmaps: 1, refused: 0 });
    });

    it('keeps live mappings', () => {
      const { region, transport, map, ledger } = setUp();
      map('a', 0, 1);
      transport.answer();
      region.suspend();
      region.resume();
      expect(ledger()).to.deep.equal(['a@0+1 live']);
      expect(transport.sent).to.have.length(1);
    });

    it('lets a cancelled caller ask again at once', () => {
      const { region, transport, map, unmap, told, tell } = setUp();
      map('a', 0, 1);
      transport.answer();
      map('busy', 1, 1);
      region.unmap(0, PAGE, (error) => {
        told.push(`u ${error}`);
        unmap('again', 0, 1);
        region.map(
          { fd: 1, fdOffset: 0, shmOffset: 8 * PAGE, len: PAGE, writable: true, owner: {}, label: '' },
          tell('m'),
        );
      });
      region.suspend();
      expect(told).to.deep.equal(['a 0', `u ${CANCELED}`, `m ${CANCELED}`]);
      region.resume();
      transport.answerAll();
      expect(told.slice(3)).to.deep.equal(['busy 0', 'again 0']);
    });
  });

  describe('while nothing may be sent', () => {
    const closings: [string, (s: ReturnType<typeof setUp>) => void, (s: ReturnType<typeof setUp>) => void][] = [
      ['suspended', (s) => s.region.suspend(), () => {}],
      ['the transport is not ready', (s) => void (s.transport.ready = false), (s) => void (s.transport.ready = true)],
    ];
    for (const [name, close, open] of closings) {
      it(`cancels maps and notes unmaps (${name})`, () => {
        const s = setUp();
        s.map('a', 0, 1);
        s.map('b', 1, 1);
        s.transport.answerAll();
        close(s);
        s.map('c', 2, 1);
        s.unmap('u', 0, 1);
        s.unmap('none', 5, 1);
        expect(s.told.slice(2)).to.deep.equal([`c ${CANCELED}`, 'none 0']);
        expect(s.ledger()).to.deep.equal(['a@0+1 unmapping', 'b@1+1 live']);
        expect(s.sent()).to.have.length(2);
        open(s);
        s.region.resume();
        expect(s.sent().slice(2)).to.deep.equal(['unmap 0+1']);
        s.transport.answer();
        expect(s.told.slice(4)).to.deep.equal(['u 0']);
        expect(s.region.stats.refused).to.equal(0);
      });
    }

    it('sends nothing before the first transport', () => {
      const { region, transport, map, told, ledger } = setUp();
      region.setTransport(null);
      map('a', 0, 1);
      expect(told).to.deep.equal([`a ${CANCELED}`]);
      expect(ledger()).to.deep.equal([]);
      region.setTransport(transport);
      map('b', 0, 1);
      transport.answer();
      expect(told.at(-1)).to.equal('b 0');
    });
  });

  describe('forget', () => {
    it('empties the ledger without a message and cancels every wait', () => {
      const { region, transport, map, unmap, told, ledger, sent } = setUp({ maxInFlight: 2 });
      map('live', 0, 1);
      map('going', 1, 1);
      transport.answerAll();
      unmap('u-sent', 1, 1);
      map('m-sent', 2, 1);
      unmap('u-waits', 0, 1);
      map('m-waits', 3, 1);
      told.length = 0;
      region.forget();
      expect(told).to.have.members([
        `u-sent ${CANCELED}`,
        `m-sent ${CANCELED}`,
        `u-waits ${CANCELED}`,
        `m-waits ${CANCELED}`,
      ]);
      expect(ledger()).to.deep.equal([]);
      expect(region.stats).to.include({ mapped: 0, mappedBytes: 0 });
      expect(sent()).to.have.length(4);
    });

    it('unmaps what the front-end maps after it was forgotten, before anything else', () => {
      const { region, transport, map, unmap, told, ledger, sent } = setUp();
      map('a', 0, 1);
      region.forget();
      map('b', 0, 1);
      expect(sent()).to.deep.equal(['map 0+1']);
      transport.answer();
      expect(told).to.deep.equal([`a ${CANCELED}`]);
      expect(sent()).to.deep.equal(['map 0+1', 'unmap 0+1']);
      transport.answer();
      expect(sent()).to.deep.equal(['map 0+1', 'unmap 0+1', 'map 0+1']);
      transport.answer();
      expect(ledger()).to.deep.equal(['b@0+1 live']);
      unmap('u', 0, 1);
      region.forget();
      transport.answer();
      expect(told).to.deep.equal([`a ${CANCELED}`, 'b 0', `u ${CANCELED}`]);
      expect(region.stats).to.deep.equal({ mapped: 0, mappedBytes: 0, maps: 1, unmaps: 0, refused: 0 });
    });

    it('unmaps it after the next start, when the rings had stopped', () => {
      const { region, transport, map, told, sent } = setUp();
      map('a', 0, 1);
      region.suspend();
      region.forget();
      transport.answer();
      expect(sent()).to.deep.equal(['map 0+1']);
      region.resume();
      map('b', 0, 1);
      expect(sent()).to.deep.equal(['map 0+1', 'unmap 0+1']);
      transport.answer(-EIO); // the reset came after all: nothing was there
      transport.answer();
      expect(told).to.deep.equal([`a ${CANCELED}`, 'b 0']);
    });

    it('unmaps it at the next start, when the message was not sent after all', () => {
      const { region, transport, map, sent } = setUp();
      map('a', 0, 1);
      region.forget();
      transport.answer();
      transport.ready = false;
      transport.answer(CANCELED);
      region.suspend();
      transport.ready = true;
      region.resume();
      expect(sent()).to.deep.equal(['map 0+1', 'unmap 0+1', 'unmap 0+1']);
      transport.answer(CANCELED);
      region.forget();
      region.resume();
      expect(sent(), 'dropped by another reset').to.have.length(4);
      transport.answer(CANCELED);
      expect(sent()).to.have.length(4);
    });

    it('sends nothing for a place before it is known what a forgotten map came to', () => {
      const { region, transport, map, told, ledger, sent } = setUp({ maxInFlight: 3 });
      map('a', 0, 1);
      region.forget();
      map('b', 0, 1);
      expect(sent()).to.deep.equal(['map 0+1']);
      transport.answer();
      expect(sent()).to.deep.equal(['map 0+1', 'unmap 0+1', 'map 0+1']);
      transport.answer(-EIO);
      transport.answer();
      expect(told).to.deep.equal([`a ${CANCELED}`, 'b 0']);
      expect(ledger()).to.deep.equal(['b@0+1 live']);
    });

    it('needs no message for a late refusal', () => {
      const { region, transport, map, sent } = setUp();
      map('a', 0, 1);
      region.forget();
      transport.answer(-EIO);
      map('b', 0, 1);
      expect(sent()).to.deep.equal(['map 0+1', 'map 0+1']);
    });

    it('drops unmaps that were due', () => {
      const { region, transport, map, unmap, told, sent } = setUp();
      map('a', 0, 1);
      transport.answer();
      region.suspend();
      unmap('u', 0, 1);
      region.forget();
      expect(told).to.deep.equal(['a 0', `u ${CANCELED}`]);
      region.resume();
      expect(sent()).to.deep.equal(['map 0+1']);
    });

    it('forgets a replacement and what it would have replaced', () => {
      const { region, transport, map, told, ledger } = setUp({ overlap: 'replace' });
      map('old', 0, 1);
      transport.answer();
      map('new', 0, 1);
      region.forget();
      transport.answer();
      expect(told).to.deep.equal(['old 0', `new ${CANCELED}`]);
      expect(ledger()).to.deep.equal([]);
      expect(region.stats.mapped).to.equal(0);
    });
  });

  describe('setTransport', () => {
    it('forgets with the connection, and ignores its late answers', () => {
      const { region, transport, map, told, ledger } = setUp();
      map('live', 0, 1);
      transport.answer();
      map('sent', 1, 1);
      const next = new MockTransport();
      region.setTransport(next);
      expect(told).to.deep.equal(['live 0', `sent ${CANCELED}`]);
      expect(ledger()).to.deep.equal([]);
      map('new', 1, 1);
      map('newer', 2, 1);
      transport.answer();
      expect(next.sent).to.have.length(1);
      expect(ledger()).to.deep.equal(['new@1+1 mapping', 'newer@2+1 mapping']);
      next.answerAll();
      expect(told.slice(2)).to.deep.equal(['new 0', 'newer 0']);
    });

    it('keeps everything when the transport is the same', () => {
      const { region, transport, map, ledger } = setUp();
      map('live', 0, 1);
      transport.answer();
      region.setTransport(transport);
      expect(ledger()).to.deep.equal(['live@0+1 live']);
    });
  });
});
