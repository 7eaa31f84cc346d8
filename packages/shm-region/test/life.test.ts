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
});
